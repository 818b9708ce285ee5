"""Image sets in Parquet: the layout of the Hugging Face hub, and what can be wrong with it."""

from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_files import noise, png, write_parquet

from osr_core.data import READERS
from osr_core.data.encoded import decode_exact
from osr_core.data.imageset import concatenate
from osr_core.data.parquet import find_parts, image_blocks
from osr_core.errors import DataError

CLASSES = ("red", "green", "blue")
IMAGES = noise(4, 8, 8, 3)
LABELS = [2, 0, 1, 2]


@pytest.fixture
def path(tmp_path):
    """Where a test writes its file."""
    return tmp_path / "set-test.parquet"


def read(path):
    """The file as a set of three classes and 8 x 8 images."""
    return concatenate(list(image_blocks([path], CLASSES, partial(decode_exact, side=8))))


@pytest.mark.parametrize("image_column", ["image", "img"])
@pytest.mark.parametrize("label_column", ["label", "fine_label"])
def test_images_come_back_exactly(path, image_column, label_column):
    """Under each of the names that the hub uses."""
    write_parquet(
        path, IMAGES, LABELS, image_column=image_column, label_column=label_column, names=CLASSES
    )
    loaded = read(path)
    assert np.array_equal(loaded.images.numpy(), IMAGES.transpose(0, 3, 1, 2))
    assert loaded.labels.tolist() == LABELS


def test_the_fine_label_is_taken(path):
    """A file of CIFAR-100 has labels of two kinds."""
    write_parquet(path, IMAGES, LABELS)
    table = pq.read_table(path).append_column("fine_label", pa.array([0, 0, 0, 1]))
    pq.write_table(table, path)
    assert read(path).labels.tolist() == [0, 0, 0, 1]


def test_grey_images_become_colour(path):
    """Some of TinyImageNet's are grey."""
    write_parquet(path, IMAGES[..., 0], LABELS)
    assert np.array_equal(read(path).images.numpy(), IMAGES[:, None, ..., 0].repeat(3, 1))


def test_jpeg_is_decoded(path):
    """Lossy, so only roughly the same."""
    grey = np.full((8, 8, 3), 120, np.uint8)
    write_parquet(path, [], [1], encoded=[png(grey, "JPEG")])
    assert abs(read(path).images.int() - 120).max() <= 2


def test_rows_go_on_over_batches_and_row_groups(path):
    """1,000 rows are read at once; positions and labels must not start again."""
    images = noise(3, 8, 8, 3)
    write_parquet(path, images[np.arange(1205) % 3], np.arange(1205) % 3)
    pq.write_table(pq.read_table(path), path, row_group_size=100)
    loaded = read(path)
    assert loaded.labels.tolist() == [row % 3 for row in range(1205)]
    assert np.array_equal(loaded.images[1204].numpy(), images[1204 % 3].transpose(2, 0, 1))


def test_parts_are_read_in_the_order_of_their_names(tmp_path):
    """One set in several files is the rule on the hub."""
    for part in (1, 0):
        name = f"cifar10-train-{part:05}-of-00002.parquet"
        write_parquet(tmp_path / name, noise(2, 32, 32, 3, seed=part), [part, part])
    loaded = READERS["cifar10"].load(tmp_path, "train")
    assert loaded.labels.tolist() == [0, 0, 1, 1]
    assert np.array_equal(
        loaded.images[2:].numpy(), noise(2, 32, 32, 3, seed=1).transpose(0, 3, 1, 2)
    )


def test_a_missing_part_is_noticed(tmp_path):
    """The names say how many there are."""
    for part in (0, 2):
        (tmp_path / f"set-train-{part:05}-of-00003.parquet").touch()
    with pytest.raises(DataError, match="holds 2 of the 3 parts of set-train"):
        find_parts(tmp_path, "set", "train")


def test_two_versions_of_a_set_are_not_joined(tmp_path):
    """The whole set and a selection from it, side by side, would count images twice."""
    for name in ("set-train.parquet", "set-train-1000-per-class.parquet"):
        (tmp_path / name).touch()
    with pytest.raises(DataError, match="These are not the parts of one set"):
        find_parts(tmp_path, "set", "train")


@pytest.mark.parametrize("content", [b"", b"not a Parquet file at all", None])
def test_a_broken_file_is_named(path, content):
    """Empty, something else, or truncated."""
    write_parquet(path, IMAGES, LABELS)
    path.write_bytes(path.read_bytes()[:-200] if content is None else content)
    with pytest.raises(DataError, match=r"set-test.parquet' cannot be read as Parquet"):
        read(path)


def test_damage_inside_a_file_is_named(path):
    """The footer may be whole and a page not."""
    write_parquet(path, noise(50, 8, 8, 3), [0] * 50)
    content = bytearray(path.read_bytes())
    content[20:400] = bytes(380)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"set-test.parquet'"):
        read(path)


@pytest.mark.parametrize(
    "columns",
    [
        {"pixels": [[1]], "label": [1]},
        {"image": ["a/path.png"], "label": [1]},
        {"image": [{"bytes": b"", "path": ""}], "label": [1.0]},
        {"image": [{"bytes": b"", "path": ""}], "coarse_label": [1]},
    ],
    ids=["no image", "only a path", "label is a fraction", "no label"],
)
def test_missing_columns_are_listed_with_those_that_are_there(path, columns):
    """So that the reader of the message sees what to rename."""
    pq.write_table(pa.table(columns), path)
    with pytest.raises(DataError, match="must have an image column") as error:
        read(path)
    for name in columns:
        assert f"{name}: " in str(error.value)


def test_a_wrong_image_size_names_file_and_row(path):
    """Height first, as everywhere."""
    write_parquet(path, [*IMAGES[:3], noise(1, 8, 9, 3)[0]], LABELS)
    with pytest.raises(DataError, match=r"set-test.parquet' row 3: the image is 8 x 9, not 8 x 8"):
        read(path)


@pytest.mark.parametrize(
    ("encoded", "message"),
    [
        (b"no image", "is broken"),
        (png(IMAGES[0])[:-40], "is broken"),
        (b"", "has no bytes"),
        (None, "has no bytes"),
    ],
    ids=["other", "truncated", "empty", "null"],
)
def test_a_broken_image_names_file_and_row(path, encoded, message):
    """One broken image among 50,000 must be found."""
    write_parquet(path, [], LABELS, encoded=[*map(png, IMAGES[:2]), encoded, png(IMAGES[3])])
    with pytest.raises(DataError, match=rf"set-test.parquet' row 2: the image {message}"):
        read(path)


def test_other_encodings_are_named(path):
    """Pillow opens dozens of formats; image sets need four."""
    write_parquet(path, [], [0], encoded=[png(IMAGES[0], "TIFF")])
    with pytest.raises(DataError, match="row 0: the image is a TIFF file; save it as one of PNG"):
        read(path)


def test_a_row_without_a_label_is_named(path):
    """The first one."""
    write_parquet(path, IMAGES, [0, 1, None, None])
    with pytest.raises(DataError, match="row 2: there is no label"):
        read(path)


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_outside_the_classes_names_file_and_row(path, label):
    """The hub gives -1 to test images without labels."""
    write_parquet(path, IMAGES, [0, 1, label, 0])
    with pytest.raises(DataError, match=r"row 2: label (-1|3) is not one of the 3 classes, 0 to 2"):
        read(path)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("red", "blue", "green"), "calls class 1 'blue', but here it is 'green'"),
        (("red", "green"), "has 2 classes, not 3"),
        ((*CLASSES, "grey"), "has 4 classes, not 3"),
    ],
)
def test_other_class_names_are_refused(path, names, message):
    """Labels in another order would give a split of other classes."""
    write_parquet(path, IMAGES, LABELS, names=names)
    with pytest.raises(DataError, match=rf"set-test.parquet' {message}"):
        read(path)


def test_the_hub_s_own_spelling_of_crab_is_known(tmp_path):
    """Its CIFAR-100 calls class 26 'cra'."""
    reader = READERS["cifar100"]
    names = ["cra" if name == "crab" else name for name in reader.classes]
    write_parquet(
        tmp_path / "cifar100-test.parquet",
        noise(1, 32, 32, 3),
        [26],
        image_column="img",
        label_column="fine_label",
        names=names,
    )
    assert reader.load(tmp_path, "test").labels.tolist() == [26]


@pytest.mark.parametrize("metadata", [{}, {"huggingface": "{"}, {"huggingface": '{"info": []}'}])
def test_a_file_without_class_names_is_accepted(path, metadata):
    """Metadata are a help, not a duty."""
    write_parquet(path, IMAGES, LABELS)
    pq.write_table(pq.read_table(path).replace_schema_metadata(metadata), path)
    assert read(path).labels.tolist() == LABELS
