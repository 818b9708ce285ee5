"""A user's own images: `folder:NAME` and `parquet:NAME`."""

import json

import pytest
from data_files import noise, png, write_parquet

from osr_core.data import BENCHMARKS, READERS, UNKNOWN
from osr_core.data.splits import class_split, protocols
from osr_core.data.tasks import fingerprints, known_train, open_test
from osr_core.errors import ConfigError, DataError, MissingDataError


def write(root, subset, cls, num=2, height=20, width=30):
    """Some PNG files of a class."""
    folder = root / "Flowers" / subset / cls
    folder.mkdir(parents=True)
    for number, pixels in enumerate(noise(num, height, width, 3)):
        (folder / f"{number}.PNG").write_bytes(png(pixels))


@pytest.fixture
def root(tmp_path):
    """Classes rose and tulip to train on, and daisy and aster in the test alone."""
    for cls in ("tulip", "rose"):
        write(tmp_path, "train", cls)
    for cls in ("tulip", "daisy", "rose", "aster"):
        write(tmp_path, "test", cls, 1)
    return tmp_path


@pytest.fixture
def protocol(tmp_path):
    """A split file: aster 0 and daisy 1 unknown, rose 2 and tulip 3 known."""
    splits = [{"known": [2, 3], "unknown": [0, 1]}, {"known": [2, 9], "unknown": [8]}]
    path = tmp_path / "splits.json"
    path.write_text(json.dumps({"splits": {"folder:Flowers@16": splits}}))
    return str(path)


def test_class_numbers_are_positions_in_both_subsets_folders(root):
    """Else a class that only the test has would shift the others' numbers."""
    reader = READERS["folder:Flowers@16"]
    assert reader.load(root, "train").labels.tolist() == [2, 2, 3, 3]
    test = reader.load(root, "test")
    assert test.labels.tolist() == [0, 1, 2, 3]
    assert test.images.shape == (4, 3, 16, 16)
    assert READERS["folder:Flowers"].image_size == 64


def test_a_class_more_in_the_test_is_another_training_set(root):
    """It may give every label another number."""
    reader = READERS["folder:Flowers"]
    before = reader.fingerprint(root, "train")
    write(root, "test", "zinnia")
    assert reader.fingerprint(root, "train") != before


def test_a_split_file_makes_it_a_task(root, protocol):
    """From the split file to images that a network sees."""
    split = class_split("folder:Flowers@16", protocol, 0)
    prints = fingerprints(root, BENCHMARKS["folder:Flowers@16"])
    name = split.known_from
    task = {"dataset": name, "known": list(split.known), "fingerprint": prints[f"{name}/train"]}
    assert known_train(root, task, image_size=16, channels=3).labels.tolist() == [0, 0, 1, 1]
    test = {
        "known_from": name,
        "known": [2, 3],
        "unknown_from": name,
        "unknown": [0, 1],
        "fingerprints": {name: prints[f"{name}/test"]},
    }
    opened = open_test(root, test, image_size=16, channels=3)
    assert opened.labels.tolist() == [UNKNOWN, UNKNOWN, 0, 1]
    assert opened.image_ids[0] == "folder:Flowers@16/test/0"
    assert opened.class_names == sorted(path.name for path in (root / "Flowers" / "test").iterdir())


def test_classes_without_names_are_called_by_their_numbers(tmp_path):
    """Parquet files hold labels."""
    write_parquet(tmp_path / "birds-test.parquet", noise(3, 8, 8, 3), [7, 0, 4])
    name = "parquet:birds@8"
    test = {
        "known_from": name,
        "known": [0, 4],
        "unknown_from": name,
        "unknown": [7],
        "fingerprints": {name: READERS[name].fingerprint(tmp_path, "test")},
    }
    opened = open_test(tmp_path, test, image_size=8, channels=3)
    assert opened.class_names == ["7", "0", "4"]


def test_classes_that_are_not_there_are_told_once_the_files_are_read(root, protocol):
    """The spec cannot know how many there are."""
    split = class_split("folder:Flowers@16", protocol, 1)
    prints = fingerprints(root, BENCHMARKS["folder:Flowers@16"])
    name = split.known_from
    task = {"dataset": name, "known": list(split.known), "fingerprint": prints[f"{name}/train"]}
    with pytest.raises(DataError, match="no image of class 9, which the split asks for"):
        known_train(root, task, image_size=16, channels=3)
    test = {
        "known_from": name,
        "known": [2, 3],
        "unknown_from": name,
        "unknown": [8],
        "fingerprints": {name: prints[f"{name}/test"]},
    }
    with pytest.raises(DataError, match="holds no image of class 8, which the split asks for"):
        open_test(root, test, image_size=16, channels=3)


def test_parquet_is_read_with_its_own_labels(tmp_path):
    """Of any size and with any names."""
    images = noise(3, 10, 12, 3)
    write_parquet(tmp_path / "birds-train.parquet", images, [7, 0, 7], names=["any"] * 8)
    loaded = READERS["parquet:birds@8"].load(tmp_path, "train")
    assert loaded.labels.tolist() == [7, 0, 7]
    assert loaded.images.shape == (3, 3, 8, 8)


@pytest.mark.parametrize(
    "name",
    [
        "folder:",
        "folder:../secret",
        "folder:a/b",
        "folder:.hidden",
        "tree:a",
        "folder:a@0",
        "parquet",
    ],
)
def test_other_names_do_not_exist(name):
    """A name is one folder of the root, never a path out of it."""
    assert name not in BENCHMARKS
    assert name not in READERS
    with pytest.raises(KeyError):
        READERS[name]


def test_own_images_are_not_listed():
    """They exist for whoever names them."""
    assert "folder:Flowers" in BENCHMARKS
    assert not [name for name in [*BENCHMARKS, *READERS] if ":" in name]
    assert all(":" not in name for entry in protocols().values() for name in entry.counts)


def test_random_splits_need_the_classes_beforehand():
    """The message shows the file to write."""
    with pytest.raises(ConfigError, match=r'Write a split file: {"splits": {"folder:Flowers": '):
        class_split("folder:Flowers", "random", 0)


@pytest.mark.parametrize("missing", ["train", "test"])
def test_a_missing_subset_is_named(root, missing):
    """With what is there in its place; a plan cannot be counted by it as if nothing was there."""
    (root / "Flowers" / missing).rename(root / "Flowers" / "elsewhere")
    with pytest.raises(DataError, match=f"no folder {missing} or .*; it holds elsewhere, t") as no:
        READERS["folder:Flowers"].load(root, "test")
    assert not isinstance(no.value, MissingDataError)


@pytest.mark.parametrize("names", [("Train", "TEST"), ("Training", "testing"), ("training", "Val")])
def test_subsets_folders_may_have_capitals_and_other_usual_names(root, names):
    """Where case counts and where it does not, the same files are the same data."""
    reader = READERS["folder:Flowers@16"]
    before = [reader.fingerprint(root, subset) for subset in ("train", "test")]
    for subset, name in zip(("train", "test"), names, strict=True):
        (root / "Flowers" / subset).rename(root / "Flowers" / name)
    assert [reader.fingerprint(root, subset) for subset in ("train", "test")] == before
    assert list(reader.remarks(root, "train")) == [
        f"folder:Flowers@16/train is made of the folder {names[0]}."
    ]


@pytest.mark.parametrize(
    ("name", "there", "said"),
    [
        ("folder:Flowers", "flowers", "holds flowers, and not Flowers/train, which folder:Flow"),
        ("folder:Flowers", "Flowers.zip", "holds Flowers.zip, and not Flowers/train"),
        ("parquet:birds", "birds_train.parquet", "holds birds_train.parquet, and not birds-train"),
        ("parquet:birds", "Birds-train.parquet", "holds Birds-train.parquet, and not birds-tr"),
        ("parquet:birds", "birds", "holds birds, and not birds-train*.parquet"),
    ],
)
def test_files_under_a_name_that_is_not_read_are_not_told_as_missing(tmp_path, name, there, said):
    """A plan without data is a plan for elsewhere; these are here."""
    (tmp_path / there).mkdir()
    with pytest.raises(DataError) as refused:
        READERS[name].files(tmp_path, "train")
    assert not isinstance(refused.value, MissingDataError)
    assert said in str(refused.value)


def test_other_files_leave_it_missing(tmp_path):
    """A name that only begins like another's."""
    (tmp_path / "birdsong-train.parquet").touch()
    for name in ("folder:birds", "parquet:birds"):
        with pytest.raises(MissingDataError, match="Looked for"):
            READERS[name].files(tmp_path, "train")
