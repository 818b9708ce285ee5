"""MNIST's IDX files, right and wrong."""

import gzip
import hashlib

import numpy as np
import pytest
from data_files import MNIST_NAMES, idx_bytes, noise, write_mnist

from osr_core.data import READERS
from osr_core.errors import DataError

MNIST = READERS["mnist"]
IMAGES, LABELS = MNIST_NAMES["train"]


@pytest.mark.parametrize("folder", [".", "MNIST/raw"])
@pytest.mark.parametrize("packed", [True, False])
def test_images_come_back_exactly(tmp_path, folder, packed):
    """From the root or torchvision's folder, compressed or not."""
    images, labels = write_mnist(tmp_path / folder, packed=packed)
    loaded = MNIST.load(tmp_path, "train")
    assert np.array_equal(loaded.images.numpy(), images[:, None])
    assert loaded.labels.tolist() == labels.tolist()


@pytest.mark.parametrize("kept", [0, 3, 10, 2000])
def test_a_truncated_file_says_what_it_promises_and_holds(tmp_path, kept):
    """A broken download must not become a smaller dataset."""
    images, _ = write_mnist(tmp_path, packed=False)
    path = tmp_path / IMAGES
    path.write_bytes(idx_bytes(images)[:kept])
    says = f"promises 20 x 28 x 28 = 15680 bytes, it holds {kept - 16}" if kept > 16 else "header"
    with pytest.raises(DataError, match=rf"{IMAGES}' is truncated: .*{says}"):
        MNIST.load(tmp_path, "train")


def test_a_file_that_is_too_long_is_refused(tmp_path):
    """Two downloads into one file."""
    _, labels = write_mnist(tmp_path, packed=False)
    (tmp_path / LABELS).write_bytes(idx_bytes(labels) * 2)
    with pytest.raises(DataError, match="is too long: its header promises 20 = 20 bytes"):
        MNIST.load(tmp_path, "train")


@pytest.mark.parametrize("damage", ["truncated", "not gzip", "flipped"])
def test_a_damaged_gzip_file_is_named(tmp_path, damage):
    """Three exceptions of the standard library, one error here."""
    write_mnist(tmp_path)
    path = tmp_path / f"{IMAGES}.gz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(
        {"truncated": content[:5000], "not gzip": b"<html>", "flipped": bytes(content)}[damage]
    )
    with pytest.raises(DataError, match=rf"{IMAGES}.gz' is truncated or damaged"):
        MNIST.load(tmp_path, "train")


def test_a_wrong_magic_number_shows_both(tmp_path):
    """Labels in place of images: the message must let one see it."""
    _, labels = write_mnist(tmp_path, num=40, packed=False)
    (tmp_path / IMAGES).write_bytes(idx_bytes(labels))
    with pytest.raises(DataError, match=r"begins with 0x00000801, but .* begins with 0x00000803"):
        MNIST.load(tmp_path, "train")


def test_a_wrong_image_size_is_refused(tmp_path):
    """EMNIST-like files of another size would be resized without a word."""
    write_mnist(tmp_path, images=noise(20, 14, 28))
    with pytest.raises(DataError, match="holds images of 14 x 28, not 28 x 28"):
        MNIST.load(tmp_path, "train")


def test_a_label_outside_the_classes_is_named_with_its_row(tmp_path):
    """It would become an unknown class that no one chose."""
    write_mnist(tmp_path, labels=np.array([0] * 17 + [12, 0, 0], np.uint8))
    with pytest.raises(DataError, match=rf"{LABELS}.gz' row 17: label 12 is not one of the 10"):
        MNIST.load(tmp_path, "train")


def test_images_and_labels_must_belong_together(tmp_path):
    """Train images beside test labels."""
    write_mnist(tmp_path, labels=np.zeros(19, np.uint8))
    with pytest.raises(DataError, match=r"holds 20 images and .* 19 labels"):
        MNIST.load(tmp_path, "train")


def test_the_real_files_are_mnist(data_root):
    """Counts per class and the mean as published; the bytes by their published MD5."""
    if not (data_root / f"{IMAGES}.gz").exists():
        pytest.skip("MNIST's files are not in the data folder")
    train, test = MNIST.load(data_root, "train"), MNIST.load(data_root, "test")
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert train.labels.bincount().tolist() == counts
    assert len(test) == 10000
    assert (train.images.double().mean() / 255).item() == pytest.approx(0.1307, abs=5e-5)
    unpacked = gzip.decompress((data_root / f"{IMAGES}.gz").read_bytes())
    assert hashlib.md5(unpacked).hexdigest() == "6bbc9ace898e44ae57da46a324031adb"


def test_files_without_images_are_refused(tmp_path):
    """By name, before a split finds its classes missing."""
    write_mnist(tmp_path, num=0)
    with pytest.raises(DataError, match="holds no images"):
        READERS["mnist"].load(tmp_path, "train")


def test_another_file_of_the_same_name_is_said_to_be_unused(tmp_path):
    """Unpacked beside its .gz it holds the same, which is no news."""
    write_mnist(tmp_path, packed=False)
    write_mnist(tmp_path, packed=True)
    assert list(READERS["mnist"].remarks(tmp_path, "train")) == []
    images, _ = write_mnist(tmp_path / "MNIST" / "raw")
    write_mnist(tmp_path / "MNIST" / "raw", images=255 - images)
    (remark,) = READERS["mnist"].remarks(tmp_path, "train")
    assert remark.startswith(f"mnist/train is made of '{tmp_path / 'train-images-idx3-ubyte'}', ")
    assert "MNIST/raw/train-images-idx3-ubyte.gz', which holds something else." in remark
