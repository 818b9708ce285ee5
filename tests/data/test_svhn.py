"""SVHN's .mat files: digits with ten for zero, and what can be wrong with them."""

import numpy as np
import pytest
from data_files import noise
from scipy.io import savemat

from osr_core.data import READERS
from osr_core.data.splits import class_split
from osr_core.errors import DataError

SVHN = READERS["svhn"]


def write(path, num=12, *, compressed=True, **changes):
    """A file of version 5 as published: X (32, 32, 3, N) and y (N, 1), labels 1, 2, ... 10, 1."""
    images = noise(num, 32, 32, 3)
    labels = (np.arange(num, dtype=np.uint8) % 10 + 1)[:, None]
    content = {"X": images.transpose(1, 2, 3, 0), "y": labels, **changes}
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(
        path,
        {key: value for key, value in content.items() if value is not None},
        do_compression=compressed,
    )
    return images


@pytest.mark.parametrize("folder", [".", "svhn"])
@pytest.mark.parametrize("compressed", [True, False])
def test_images_come_back_exactly(tmp_path, folder, compressed):
    """Row and column not exchanged; from the root, or from torchvision's or one's own folder."""
    images = write(tmp_path / folder / "train_32x32.mat", compressed=compressed)
    loaded = SVHN.load(tmp_path, "train")
    assert np.array_equal(loaded.images.numpy(), images.transpose(0, 3, 1, 2))
    assert loaded.images.is_contiguous()


def test_label_ten_is_the_digit_zero(tmp_path):
    """So that class numbers are digits, as in the published splits."""
    write(tmp_path / "test_32x32.mat")
    labels = SVHN.load(tmp_path, "test").labels
    assert labels.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2]
    assert class_split("svhn", "arpl", 0).known == (2, 3, 5, 6, 7, 8)


@pytest.mark.parametrize("label", [0, 11])
def test_a_label_outside_one_to_ten_names_file_and_row(tmp_path, label):
    """A zero would mean that somebody has changed the labels already."""
    write(tmp_path / "train_32x32.mat", 3, y=np.array([[1], [label], [2]], np.uint8))
    with pytest.raises(DataError, match=rf"train_32x32.mat' row 1: label {label} is not one of 1"):
        SVHN.load(tmp_path, "train")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"X": None}, "must hold the arrays X and y"),
        ({"y": None}, "must hold the arrays X and y"),
        ({"X": noise(28, 28, 3, 12)}, r"must hold 32 x 32 x 3 x 12 bytes .* \(28, 28, 3, 12\)"),
        ({"X": noise(32, 32, 3, 11)}, r"for its 12 labels; .* \(32, 32, 3, 11\)"),
        ({"X": np.zeros((32, 32, 3, 12))}, "it holds float64"),
        ({"y": np.full(12, np.nan)}, "must hold whole numbers as y"),
        ({"y": "one two three"}, "must hold whole numbers as y"),
    ],
    ids=["no images", "no labels", "size", "count", "type", "not a number", "text"],
)
def test_wrong_content_is_told(tmp_path, changes, message):
    """Each names the file and what was expected."""
    write(tmp_path / "train_32x32.mat", **changes)
    with pytest.raises(DataError, match=rf"train_32x32.mat' .*{message}"):
        SVHN.load(tmp_path, "train")


@pytest.mark.parametrize("kept", [0, 60, 400, -100])
@pytest.mark.parametrize("compressed", [True, False])
def test_a_truncated_file_is_named(tmp_path, kept, compressed):
    """Wherever a download may have ended."""
    path = tmp_path / "train_32x32.mat"
    write(path, compressed=compressed)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataError, match=r"train_32x32.mat' (is truncated|must hold)"):
        SVHN.load(tmp_path, "train")


@pytest.mark.parametrize("content", [b"<html>404</html>" * 20, b"\x89HDF\r\n\x1a\n" + bytes(600)])
def test_another_kind_of_file_is_named(tmp_path, content):
    """A server's error page, or version 7.3."""
    (tmp_path / "train_32x32.mat").write_bytes(content)
    with pytest.raises(DataError, match=r"train_32x32.mat' (is truncated|must hold)"):
        SVHN.load(tmp_path, "train")
