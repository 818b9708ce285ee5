"""Columns of Parquet files: every type that a label or an image may have, and what they name."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_files import noise, png, write_parquet

from osr_core.data import READERS
from osr_core.errors import DataError

IMAGES = noise(6, 8, 8, 3)
FILES = [png(pixels) for pixels in IMAGES]
NUMBERS = [2, 0, 1, 2, 1, 0]
NAMES = ["c", "a", "b", "c", "b", "a"]
READER = READERS["parquet:birds@8"]
STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.large_string())])
WIDTHS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32()]
LABELS = {str(kind): pa.array(NUMBERS, kind) for kind in [*WIDTHS, pa.uint64()]}
LABELS |= {
    "dictionary of numbers": pa.array(NUMBERS, pa.uint8()).dictionary_encode(),
    "string": pa.array(NAMES),
    "large string": pa.array(NAMES, pa.large_string()),
    "string view": pa.array(NAMES, pa.string_view()),
    "dictionary of names": pa.array(NAMES).dictionary_encode(),
    "chunked": pa.chunked_array([NUMBERS[:1], NUMBERS[1:]]),
}
AS_STRUCT = [{"bytes": file, "path": "x.png"} for file in FILES]
COLUMNS = {
    "binary": pa.array(FILES, pa.binary()),
    "large binary": pa.array(FILES, pa.large_binary()),
    "binary view": pa.array(FILES, pa.binary_view()),
    "struct": pa.array(AS_STRUCT, STRUCT),
    "struct of views": pa.array(AS_STRUCT, pa.struct([("bytes", pa.binary_view())])),
    "dictionary": pa.array(FILES, pa.binary()).dictionary_encode(),
    "lists": pa.array([list(file) for file in FILES], pa.list_(pa.uint8())),
    "large lists": pa.array([list(file) for file in FILES], pa.large_list(pa.uint8())),
    "struct of lists": pa.array(
        [{"bytes": list(file)} for file in FILES], pa.struct([("bytes", pa.list_(pa.uint8()))])
    ),
}


def write(root, labels, images=COLUMNS["struct"], subset="train", names=None):
    """A file of birds."""
    table = pa.table({"image": images, "label": labels})
    if names is not None:
        info = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
    pq.write_table(table, root / f"birds-{subset}.parquet")


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_labels_of_every_type_are_read(tmp_path, labels):
    """With the images and without them: a plan and a fit must agree."""
    write(tmp_path, labels)
    assert READER.load(tmp_path, "train").labels.tolist() == NUMBERS
    assert READER.labels(tmp_path, "train").tolist() == NUMBERS


@pytest.mark.parametrize("images", COLUMNS.values(), ids=COLUMNS)
def test_images_of_every_type_are_read(tmp_path, images):
    """The same pixels."""
    write(tmp_path, LABELS["int64"], images)
    read = READERS["parquet:birds@8"].load(tmp_path, "train").images
    write(tmp_path, LABELS["int64"])
    assert read.equal(READER.load(tmp_path, "train").images)
    assert read.shape == (6, 3, 8, 8)


@pytest.mark.parametrize("kind", [*WIDTHS, pa.uint64(), pa.string()], ids=str)
def test_a_row_without_a_label_is_named_whatever_its_type(tmp_path, kind):
    """An unsigned column cannot hold a sign for it."""
    values = ["a", None, "b"] if pa.types.is_string(kind) else [0, None, 1]
    write(tmp_path, pa.array(values, kind), pa.array(FILES[:3]))
    with pytest.raises(DataError, match=r"birds-train\.parquet' row 1: there is no label"):
        READER.labels(tmp_path, "train")


@pytest.mark.parametrize(
    "images",
    [
        pa.array([AS_STRUCT[0], None], STRUCT),
        pa.array([FILES[0], None], pa.binary()),
        pa.array([FILES[0], b""], pa.binary_view()),
        pa.array([list(FILES[0]), None], pa.list_(pa.uint8())),
    ],
    ids=["null struct", "null", "empty", "null list"],
)
def test_a_missing_image_is_named_by_the_plan_too(tmp_path, images):
    """It needs no decoding; and below a null struct lie bytes that nobody wrote."""
    write(tmp_path, pa.array([0, 1]), images)
    for look in (READER.load, lambda *given: list(READER.image_hashes(*given))):
        with pytest.raises(DataError, match="row 1: the image has no bytes"):
            look(tmp_path, "train")


@pytest.mark.parametrize("labels", [[2**64 - 1], [0, 2**64 - 1]])
def test_the_widest_label_is_outside_the_classes(tmp_path, labels):
    """It must become no negative number, nor, beside a small one, a fraction in the message."""
    write(tmp_path, pa.array(labels, pa.uint64()), pa.array(FILES[: len(labels)]))
    with pytest.raises(DataError, match="label 18446744073709551615 is not one of"):
        READER.labels(tmp_path, "train")


def test_names_are_numbered_over_both_files(tmp_path):
    """Else a class that one of them lacks would shift the others."""
    write(tmp_path, LABELS["string"])
    write(tmp_path, pa.array(["b", "Z"]), pa.array(FILES[:2]), "test")
    assert READER.class_names(tmp_path) == ["Z", "a", "b", "c"]
    assert READER.labels(tmp_path, "test").tolist() == [2, 0]
    assert READER.labels(tmp_path, "train").tolist() == [k + 1 for k in NUMBERS]


def test_a_name_more_in_the_other_file_is_other_data(tmp_path):
    """It gives labels other numbers."""
    write(tmp_path, LABELS["string"])
    before = READER.fingerprint(tmp_path, "train")
    write(tmp_path, pa.array(["b", "Z"]), pa.array(FILES[:2]), "test")
    assert READER.fingerprint(tmp_path, "train") != before


def test_files_that_list_the_classes_in_another_order_are_refused(tmp_path):
    """Accuracy would fall from 1 to 0.33, without a word."""
    write(tmp_path, LABELS["int64"], names=["a", "b", "c"])
    write(tmp_path, LABELS["int64"], subset="test", names=["b", "a", "c"])
    for ask in (READER.class_names, lambda root: READER.labels(root, "test")):
        with pytest.raises(DataError, match=r"birds-test.* lists the classes b, a, c, and .*train"):
            ask(tmp_path)


def test_names_of_the_metadata_are_kept(tmp_path):
    """In the export a class has its name."""
    write(tmp_path, LABELS["int64"], names=["red", "green", "blue"])
    write(tmp_path, LABELS["int64"], subset="test")
    assert READER.class_names(tmp_path) == ["red", "green", "blue"]


def test_a_label_beyond_the_listed_names_is_refused(tmp_path):
    """The file contradicts itself."""
    write(tmp_path, LABELS["int64"], names=["red", "green"])
    with pytest.raises(DataError, match="row 0: label 2 is not one of the 2 classes"):
        READER.labels(tmp_path, "train")


def test_names_are_read_for_published_classes_too(tmp_path):
    """By their own names or those that the hub uses."""
    write_parquet(tmp_path / "cifar10-test.parquet", noise(2, 32, 32, 3), [0, 1])
    table = pq.read_table(tmp_path / "cifar10-test.parquet")
    labels = pa.array(["cat", "truck"]).dictionary_encode()
    pq.write_table(table.set_column(1, "label", labels), tmp_path / "cifar10-test.parquet")
    assert READERS["cifar10"].load(tmp_path, "test").labels.tolist() == [3, 9]
    assert READERS["cifar10"].labels(tmp_path, "test").tolist() == [3, 9]


def test_two_image_columns_are_refused(tmp_path):
    """One of them would be left out in silence."""
    write(tmp_path, LABELS["int64"])
    table = pq.read_table(tmp_path / "birds-train.parquet")
    pq.write_table(table.append_column("img", COLUMNS["binary"]), tmp_path / "birds-train.parquet")
    with pytest.raises(DataError, match="has the image columns image and img; keep one"):
        READER.labels(tmp_path, "train")


def test_a_thumbnail_beside_the_image_is_not_taken(tmp_path):
    """Whatever the order of the columns."""
    small = [png(np.zeros((2, 2, 3), np.uint8))] * 6
    table = pa.table({"thumbnail": small, "label": NUMBERS, "image": FILES})
    pq.write_table(table, tmp_path / "birds-train.parquet")
    assert READER.load(tmp_path, "train").images.float().std() > 1


def test_numbers_in_one_file_and_names_in_the_other_are_refused(tmp_path):
    """0 would be taken for the first name of the alphabet; a list of the classes settles it."""
    write(tmp_path, LABELS["int64"])
    write(tmp_path, LABELS["string"], subset="test")
    with pytest.raises(DataError, match=r"train.* has numbers for labels, .*test.* names, and nei"):
        READER.labels(tmp_path, "train")
    write(tmp_path, LABELS["int64"], names=["c", "a", "b"])
    assert READER.labels(tmp_path, "test").tolist() == [0, 1, 2, 0, 2, 1]


def test_a_name_that_is_listed_twice_has_no_number(tmp_path):
    """Only where labels are names: two classes with numbers may share one."""
    write(tmp_path, LABELS["string"], names=["a", "b", "c", "a"])
    with pytest.raises(DataError, match="lists the class a more than once"):
        READER.labels(tmp_path, "train")
    write(tmp_path, LABELS["int64"], names=["a", "b", "a"])
    assert READER.labels(tmp_path, "train").tolist() == NUMBERS


def test_two_columns_of_one_name_are_refused(tmp_path):
    """Parquet allows them."""
    table = pa.Table.from_arrays(
        [COLUMNS["binary"], LABELS["int64"], LABELS["uint8"]], ["image", "label", "label"]
    )
    pq.write_table(table, tmp_path / "birds-train.parquet")
    with pytest.raises(DataError, match="has several columns label; keep one"):
        READER.labels(tmp_path, "train")


def test_text_that_is_no_utf8_is_refused(tmp_path):
    """A damaged file, or one that another tool has written in Latin-1."""
    write(tmp_path, pa.array(["caf\u00e9"] * 6), COLUMNS["binary"])
    path = tmp_path / "birds-train.parquet"
    path.write_bytes(path.read_bytes().replace("\u00e9".encode(), b"\xe9 "))
    with pytest.raises(DataError, match=r"cannot be read as Parquet: .* can't decode"):
        READER.labels(tmp_path, "train")


def test_files_and_columns_of_no_use_are_said(tmp_path):
    """A third file's images are trained on nowhere."""
    write(tmp_path, LABELS["int64"])
    write(tmp_path, LABELS["int64"], subset="validation")
    table = pa.table({"image": FILES, "label": NUMBERS, "fine_label": NUMBERS})
    pq.write_table(table, tmp_path / "birds-test.parquet")
    assert list(READER.remarks(tmp_path, "train")) == [
        "parquet:birds@8 leaves out the file birds-validation.parquet, the column label of "
        "birds-test.parquet."
    ]


def test_names_that_are_numbers_are_taken_in_their_order(tmp_path):
    """As folders are: by the alphabet, class 0 would be 10 and class 1 be 2."""
    write(tmp_path, pa.array(["10", "2", "9"]), COLUMNS["binary"][:3])
    write(tmp_path, pa.array(["2"]), COLUMNS["binary"][:1], "test")
    assert list(READER.class_names(tmp_path)) == ["2", "9", "10"]
    assert READER.labels(tmp_path, "train").tolist() == [2, 0, 1]
    write(tmp_path, pa.array(["9" * 5000, "2"]), COLUMNS["binary"][:2])
    assert list(READER.class_names(tmp_path)) == ["2", "9" * 5000]
