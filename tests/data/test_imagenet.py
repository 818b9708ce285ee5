"""ILSVRC's folders and lists in small: four classes, of which the first two are trained."""

import re

import numpy as np
import pytest
import torch
from data_files import noise, png
from PIL import Image

from osr_core.data import BENCHMARKS, READERS, Benchmark
from osr_core.data import encoded as encoded_module
from osr_core.data.encoded import decode_square
from osr_core.data.imagenet import (
    LT_TRAIN,
    OPEN_2010,
    SOLUTION,
    ImageNet100,
    ImageNet2010Open,
    ImageNetLT,
)
from osr_core.data.split_files import class_numbers, names_under
from osr_core.data.splits import class_split
from osr_core.errors import ConfigError, DataError

WNIDS = ("n01", "n02", "n03", "n04")
SMALL = {"classes": WNIDS, "num_trained": 2, "image_size": 8}
FIRST = type("FirstTwo", (ImageNet100,), SMALL)()
LONG_TAILED = type("LongTailed", (ImageNetLT,), SMALL)()
OPEN = type("Open", (ImageNet2010Open,), {"classes": ("a", "b"), "image_size": 8})()


def plain(colour, height=16, width=12):
    """A picture of one colour."""
    return png(np.full((height, width, 3), colour, np.uint8))


def write(path, colour=0):
    """A picture in a folder that is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(plain(colour))


@pytest.fixture
def root(tmp_path):
    """Two training images of each class, and a flat val of four with Kaggle's list."""
    for label, wnid in enumerate(WNIDS):
        for number in range(2):
            write(tmp_path / "imagenet" / "train" / wnid / f"{wnid}_{number}.JPEG", 10 * label)
    lines = ["ImageId,PredictionString"]
    for number, wnid in ((4, "n01"), (1, "n03"), (2, "n02"), (3, "n04")):
        write(tmp_path / "imagenet" / "val" / f"val_{number}.JPEG", number)
        lines.append(f"val_{number},{wnid} 1 2 3 4 {wnid} 5 6 7 8")
    (tmp_path / "imagenet" / SOLUTION).write_text("\n".join(lines) + "\n")
    return tmp_path


def test_only_the_first_classes_are_read_for_training(root):
    """The other 900 classes' million images would be decoded for nothing."""
    loaded = FIRST.load(root, "train")
    assert loaded.labels.tolist() == [0, 0, 1, 1]
    assert loaded.images[:, 0, 0, 0].tolist() == [0, 0, 10, 10]
    assert loaded.images.shape == (4, 3, 8, 8)


def test_a_flat_val_is_labelled_by_its_list(root):
    """In the order of the names, whatever the list's order."""
    loaded = FIRST.load(root, "test")
    assert loaded.labels.tolist() == [2, 1, 3, 0]
    assert loaded.images[:, 0, 0, 0].tolist() == [1, 2, 3, 4]


def test_classes_are_called_by_their_wnids(root):
    """Their numbers say nothing in a figure."""
    assert FIRST.class_names(root) == list(WNIDS)


WORDS = "n01 tench, Tinca tinca\nn02 crane\nn03 crane\nn04 n01, ox\nn99 elsewhere\n"


@pytest.mark.parametrize(
    ("known", "unknown", "numbers"),
    [
        (["n03", "n01"], ["n04"], ([2, 0], [3])),
        (["tench", "n02"], ["ox"], ([0, 1], [3])),
        (["n01", "n02"], ["Tinca tinca"], "cannot be both known and unknown"),
        (["crane", "n01"], ["n04"], "known class 'crane' is the name of 2 classes; give numbers"),
        (["n1", "n01"], ["n04"], "known class 'n1' does not exist. Did you mean 'n01'?"),
        ([0, 7], ["n04"], "known class 7 does not exist; imagenet100 has 0 to 3"),
    ],
)
def test_a_split_file_may_name_classes_as_the_data_do(
    root, tmp_path, monkeypatch, known, unknown, numbers
):
    """By wnid or, with Kaggle's list, in WordNet's words; a wnid is never taken for a word."""
    (root / "imagenet" / "LOC_synset_mapping.txt").write_text(WORDS)
    monkeypatch.setitem(READERS, "imagenet100", FIRST)
    pair = Benchmark("imagenet100", FIRST, FIRST)
    split = {"known": known, "unknown": unknown}
    if isinstance(numbers, str):
        with pytest.raises(ConfigError, match=re.escape(numbers)):
            class_numbers("mine", pair, split, names_under(root))
    else:
        assert class_numbers("mine", pair, split, names_under(root)) == numbers


def test_names_that_only_the_files_tell_are_counted_beforehand(tmp_path):
    """A spec is read, and its sweep counted, without the data; 0 to 999 are no names."""
    path = tmp_path / "mine.json"
    path.write_text(
        '{"splits": {"imagenet100": [{"known": ["n1", "n2", "n3"], "unknown": ["n4"]}]}}'
    )
    split = class_split("imagenet100", str(path), 0)
    assert (len(split.known), len(split.unknown)) == (3, 1)


def test_a_val_of_folders_needs_no_list(root):
    """As torchvision wants it."""
    (root / "imagenet" / SOLUTION).unlink()
    for path in (root / "imagenet" / "val").iterdir():
        path.unlink()
    for wnid in WNIDS:
        write(root / "imagenet" / "val" / wnid / "val_1.JPEG")
    assert FIRST.load(root, "test").labels.tolist() == [0, 1, 2, 3]


def test_the_training_folder_may_hold_the_first_classes_alone(root):
    """Numbers come from val's 1,000 classes, not from what was fetched."""
    for wnid in WNIDS[2:]:
        for path in (root / "imagenet" / "train" / wnid).iterdir():
            path.unlink()
        (root / "imagenet" / "train" / wnid).rmdir()
    assert FIRST.load(root, "train").labels.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("ImageId,PredictionString\nval_1,n01 1 2 3 4\n", "has 1 classes, not 4"),
        ("ImageId,PredictionString\n../val_1,n01 1\n", "line 2 must be IMAGE,WNID"),
        ("ImageId,PredictionString\nval_1\n", "line 2 must be IMAGE,WNID"),
    ],
    ids=["cut", "path", "no label"],
)
def test_a_wrong_list_is_told(root, lines, message):
    """With its line."""
    (root / "imagenet" / SOLUTION).write_text(lines)
    with pytest.raises(DataError, match=rf"{SOLUTION}' {message}"):
        FIRST.load(root, "test")


def test_an_image_of_the_list_that_is_missing_is_named(root):
    """Its path, not a count."""
    (root / "imagenet" / "val" / "val_3.JPEG").unlink()
    with pytest.raises(DataError, match=r"val_3.JPEG' cannot be read: No such file"):
        FIRST.load(root, "test")


def test_the_long_tailed_list_names_the_training_images(root):
    """In its order; the label must be the wnid's position."""
    path = root / "imagenet" / LT_TRAIN
    path.write_text("train/n04/n04_1.JPEG 3\ntrain/n01/n01_0.JPEG 0\n")
    assert LONG_TAILED.load(root, "train").labels.tolist() == [3, 0]
    assert LONG_TAILED.load(root, "test").labels.tolist() == [2, 1, 3, 0]


@pytest.mark.parametrize(
    "line",
    [
        "train/n04/n04_1.JPEG 2",
        "train/n04/n04_1.JPEG 4",
        "train/n04/n04_1.JPEG -1",
        "train/n04/n04_1.JPEG",
        "val/n04/n04_1.JPEG 3",
        "train/../n04_1.JPEG 3",
        "train/n04/.. 3",
        "/etc/passwd 3",
    ],
)
def test_a_wrong_line_of_the_long_tailed_list_is_told(root, line):
    """Mislabelled, of another set, or leading out of the folder."""
    (root / "imagenet" / LT_TRAIN).write_text(f"train/n01/n01_0.JPEG 0\n{line}\n")
    with pytest.raises(DataError, match=rf"{LT_TRAIN}' line 2 must be train/WNID/FILE"):
        LONG_TAILED.load(root, "train")


def test_open_classes_of_2010_are_those_of_the_list(tmp_path):
    """Other folders are left out; there is nothing to train on."""
    base = tmp_path / "imagenet2010"
    for wnid in ("n09", "n07", "n08"):
        write(base / wnid / "1.JPEG")
    (base / OPEN_2010).write_text("n09 something\n\nn07\n")
    assert OPEN.load(tmp_path, "test").labels.tolist() == [0, 1]
    assert [path.name for path in OPEN.files(tmp_path, "test")] == ["n07", "n09"]
    with pytest.raises(DataError, match="the train images are not there"):
        OPEN.files(tmp_path, "train")
    (base / OPEN_2010).write_text("n07\n")
    with pytest.raises(DataError, match=r"must list 2 synsets, one a line; it lists 1"):
        OPEN.files(tmp_path, "test")


def test_fingerprint_depends_on_names_sizes_and_labels(root):
    """A million files are not read for it."""
    prints = {FIRST.fingerprint(root, "train"), FIRST.fingerprint(root, "test")}
    write(root / "imagenet" / "train" / "n01" / "n01_9.JPEG")
    prints.add(FIRST.fingerprint(root, "train"))
    path = root / "imagenet" / SOLUTION
    path.write_text(path.read_text().replace("val_4,n01", "val_4,n02", 1) + "val_5,n01 1\n")
    prints.add(FIRST.fingerprint(root, "test"))
    assert len(prints) == 4


@pytest.mark.parametrize(
    ("benchmark", "known", "unknown", "openness"),
    [
        ("imagenet100", 100, 900, 57.4),
        ("imagenet200", 200, 800, 42.3),
        ("imagenet_lt", 1000, 360, 7.9),
    ],
)
def test_openness_is_that_of_the_pmal_paper(benchmark, known, unknown, openness):
    """The first classes are known; the long-tailed set's unknown ones come from elsewhere."""
    split = class_split(benchmark, "pmal", 0)
    assert split.known == tuple(range(known))
    assert len(split.unknown) == unknown
    assert 100 * split.openness == pytest.approx(openness, abs=0.05)
    assert BENCHMARKS[benchmark].known.image_size == 224


# -- the middle square -----------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(32, 48), (48, 32), (32, 32)])
def test_the_square_is_the_middle_of_the_picture(height, width):
    """The shorter side becomes 8 / 7 of the square's, so one seventh of it falls away."""
    rows, columns = np.mgrid[0:height, 0:width]
    picture = np.stack([rows * 5, columns * 5, 0 * rows], 2).astype(np.uint8)
    square = decode_square(png(picture), 28, "picture").astype(float)
    assert square.shape == (28, 28, 3)
    expected_rows = 5 * ((height - 28) / 2 + np.arange(28))
    expected_columns = 5 * ((width - 28) / 2 + np.arange(28))
    assert abs(square[:, 14, 0] - expected_rows).max() <= 1
    assert abs(square[14, :, 1] - expected_columns).max() <= 1


@pytest.mark.parametrize(("height", "width"), [(1, 50), (50, 1), (3, 3), (500, 7)])
def test_odd_shapes_become_squares(height, width):
    """Strips and thumbnails are enlarged."""
    assert decode_square(plain(7, height, width), 16, "strip").shape == (16, 16, 3)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1", "CMYK"])
def test_every_usual_mode_becomes_colour(mode):
    """Transparent and palette pictures too."""
    picture = Image.fromarray(noise(1, 16, 16, 3)[0]).convert(mode)
    assert decode_square(encoded(picture), 8, "picture").shape == (8, 8, 3)


def encoded(picture):
    """PNG, or JPEG where PNG cannot hold the mode."""
    import io

    file = io.BytesIO()
    picture.save(file, "JPEG" if picture.mode == "CMYK" else "PNG")
    return file.getvalue()


def test_a_bomb_is_refused(monkeypatch):
    """A small file that would become gigabytes of pixels."""
    monkeypatch.setattr(encoded_module, "MOST_PIXELS", 10)
    with pytest.raises(DataError, match=r"bomb: the image has .* pixels, more than 10; scale it"):
        decode_square(plain(0), 8, "bomb")


def test_blocks_are_read_in_order_by_many_threads(root, monkeypatch):
    """Pieces join without a gap."""
    monkeypatch.setattr("osr_core.data.encoded.FILES_AT_ONCE", 3)
    parts = list(FIRST.blocks(root, "train", 8))
    assert [len(part) for part in parts] == [3, 1]
    assert torch.cat([part.labels for part in parts]).tolist() == [0, 0, 1, 1]
