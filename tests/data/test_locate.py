"""The data folder and the files in it, or how they are missed."""

from pathlib import Path

import pytest

from osr_core.data import READERS
from osr_core.data.fetch import downloads
from osr_core.errors import DataError

NEED_FILES = [name for name in READERS if name != "digits"]


@pytest.mark.parametrize("name", NEED_FILES)
def test_no_root_says_how_to_give_one(name):
    """The first error that a new user sees must say what to do."""
    with pytest.raises(DataError, match="no data folder is given") as error:
        READERS[name].fingerprint(None, "test")
    for part in (READERS[name].title, READERS[name].how_to_get, "--data-root", "OSR_DATA"):
        assert part in str(error.value)


@pytest.mark.parametrize("name", NEED_FILES)
def test_a_missing_file_is_named_with_every_place_looked_at(name, tmp_path):
    """Without the places, a file one folder too deep is a long search."""
    with pytest.raises(DataError, match="the test images are not there") as error:
        READERS[name].load(tmp_path, "test")
    message = str(error.value)
    places = {
        "svhn": ["test_32x32.mat", "svhn/test_32x32.mat"],
        "tinyimagenet": ["tiny-imagenet-200/val", "tinyimagenet-val*.parquet"],
        "imagenet100": ["imagenet/val"],
        "imagenet200": ["imagenet/val"],
        "imagenet_lt": ["imagenet/val"],
        "imagenet2010_open": ["imagenet2010/openset_imagenet2010_synsets.txt"],
        "mnist": ["t10k-images-idx3-ubyte", "t10k-images-idx3-ubyte.gz", "MNIST/raw"],
        "cifar10": ["cifar-10-batches-py", "cifar10-test*.parquet"],
        "cifar100": ["cifar-100-python", "cifar100-test*.parquet"],
    }[name]
    for part in (*places, READERS[name].how_to_get, "--data-root", "OSR_DATA"):
        assert part in message


def test_what_can_be_fetched_is_missed_with_the_command(tmp_path):
    """One line to copy, instead of an archive to find, check and unpack."""
    for name in downloads():
        with pytest.raises(DataError, match=f"run: osr datasets fetch {name}\\b"):
            READERS[name].load(tmp_path, "test")


def test_a_root_that_is_not_there_is_named():
    """A typing mistake in OSR_DATA is not a missing data set."""
    with pytest.raises(DataError, match="'nowhere/at/all' cannot be read: No such file"):
        READERS["mnist"].files(Path("nowhere/at/all"), "train")


def test_a_root_that_is_a_file_is_named(tmp_path):
    """Pointing at the archive instead of its folder is common."""
    (tmp_path / "cifar.tar.gz").touch()
    with pytest.raises(DataError, match=r"cifar.tar.gz' cannot be read: Not a directory"):
        READERS["cifar10"].files(tmp_path / "cifar.tar.gz", "train")


@pytest.fixture
def closed(tmp_path):
    """A folder that only a privileged user can list."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0)
    return folder


def test_a_root_without_permission_is_named(closed, unprivileged):
    """On a shared disk this is not the same as a missing file."""
    with pytest.raises(DataError, match=r"closed' cannot be read: Permission denied"):
        READERS["mnist"].files(closed, "train")


def test_a_folder_without_permission_below_the_root_is_named(tmp_path, monkeypatch):
    """The root may be open and the archive's folder closed."""

    def refuse(path, **_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", refuse)
    with pytest.raises(DataError, match=r"cifar-10-batches-py' cannot be read: Permission denied"):
        READERS["cifar10"].files(tmp_path, "train")
