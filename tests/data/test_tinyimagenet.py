"""TinyImageNet as the archive's folders and as Parquet, and what can be wrong with either."""

import os

import numpy as np
import pytest
import torch
from data_files import noise, png, write_parquet
from PIL import Image

from osr_core.data import READERS
from osr_core.data.tinyimagenet_classes import NAMES, WNIDS
from osr_core.errors import DataError

TINY = READERS["tinyimagenet"]
FOLDER = "tiny-imagenet-200"


def write_train(root, classes=(3, 0), num=2):
    """The archive's training folders of some classes; gives images by class."""
    pixels = {}
    for label in classes:
        wnid = WNIDS[label]
        folder = root / FOLDER / "train" / wnid / "images"
        folder.mkdir(parents=True)
        (folder.parent / f"{wnid}_boxes.txt").write_text("")
        pixels[label] = noise(num, 64, 64, 3, seed=label)
        for number, image in enumerate(pixels[label]):
            (folder / f"{wnid}_{number}.JPEG").write_bytes(png(image))
    return pixels


def write_val(root, labels=(5, 0, 199)):
    """The archive's validation folder and list; gives the images."""
    folder = root / FOLDER / "val" / "images"
    folder.mkdir(parents=True)
    pixels = noise(len(labels), 64, 64, 3)
    lines = []
    for number, (image, label) in enumerate(zip(pixels, labels, strict=True)):
        (folder / f"val_{number}.JPEG").write_bytes(png(image))
        lines.append(f"val_{number}.JPEG\t{WNIDS[label]}\t0\t32\t44\t62\n")
    (folder.parent / "val_annotations.txt").write_text("".join(lines))
    return pixels


def same(loaded, pixels, labels):
    """Whether an image set is these pixels (N, H, W, 3) with these labels."""
    return (
        np.array_equal(loaded.images[:].numpy(), pixels.transpose(0, 3, 1, 2))
        and loaded.labels.tolist() == labels
    )


# -- folders ---------------------------------------------------------------------------------------


def test_training_folders_are_read_by_sorted_wnid(tmp_path):
    """A class's number is its wnid's position among the 200, however many are there."""
    pixels = write_train(tmp_path)
    loaded = TINY.load(tmp_path, "train")
    assert same(loaded, np.concatenate([pixels[0], pixels[3]]), [0, 0, 3, 3])


def test_the_validation_list_gives_labels_and_order(tmp_path):
    """The folder alone has no labels: read as one class it would leave nothing unknown."""
    pixels = write_val(tmp_path)
    assert same(TINY.load(tmp_path, "test"), pixels, [5, 0, 199])


def test_validation_images_sorted_into_folders_are_read_too(tmp_path):
    """Half of the world's scripts move them."""
    for label in (7, 2):
        folder = tmp_path / FOLDER / "val" / WNIDS[label]
        folder.mkdir(parents=True)
        (folder / "val_9.JPEG").write_bytes(png(noise(1, 64, 64, 3, seed=label)[0]))
    assert TINY.load(tmp_path, "test").labels.tolist() == [2, 7]


@pytest.mark.parametrize("left_over", ["", "images"], ids=["inside images", "empty images"])
def test_validation_folders_as_shell_scripts_leave_them_are_read(tmp_path, left_over):
    """Sorted inside the folder images, or out of it, which then stays behind empty."""
    val = tmp_path / FOLDER / "val"
    folder = val if left_over else val / "images"
    (val / "images").mkdir(parents=True)
    for label in (7, 2):
        (folder / WNIDS[label]).mkdir()
        (folder / WNIDS[label] / "val_0.JPEG").write_bytes(png(noise(1, 64, 64, 3, seed=label)[0]))
    pixels = np.concatenate([noise(1, 64, 64, 3, seed=label) for label in (2, 7)])
    assert same(TINY.load(tmp_path, "test"), pixels, [2, 7])


def test_blank_lines_in_the_validation_list_are_skipped(tmp_path):
    """An editor leaves one at the end."""
    pixels = write_val(tmp_path)
    path = tmp_path / FOLDER / "val" / "val_annotations.txt"
    path.write_text("\n" + path.read_text() + " \n\n")
    assert same(TINY.load(tmp_path, "test"), pixels, [5, 0, 199])


def test_grey_and_cmyk_become_colour(tmp_path):
    """Grey ones are in the real set, CMYK ones in ImageNet."""
    write_val(tmp_path)
    folder = tmp_path / FOLDER / "val" / "images"
    grey = noise(1, 64, 64)[0]
    (folder / "val_0.JPEG").write_bytes(png(grey))
    Image.new("CMYK", (64, 64), (0, 255, 255, 0)).save(folder / "val_1.JPEG", "JPEG")
    images = TINY.load(tmp_path, "test").images
    assert np.array_equal(images[0].numpy(), np.stack([grey] * 3))
    red = images[1].float().mean((1, 2))
    assert red[0] > 200
    assert red[1:].max() < 60


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is broken"),
        (b"GIF89a", "is broken"),
        (png(noise(1, 64, 64, 3)[0])[:-3000], "is broken"),
        (png(noise(1, 64, 32, 3)[0]), "is 64 x 32, not 64 x 64"),
        (png(np.zeros((64, 64), np.uint16)), "mode is I;16"),
    ],
    ids=["empty", "other", "truncated", "size", "sixteen bits"],
)
def test_a_bad_image_is_named(tmp_path, content, message):
    """By its file, among 100,000."""
    write_train(tmp_path)
    path = tmp_path / FOLDER / "train" / WNIDS[3] / "images" / f"{WNIDS[3]}_1.JPEG"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"{path.name}': the image.*{message}"):
        TINY.load(tmp_path, "train")


def test_a_foreign_folder_is_named(tmp_path):
    """Another ImageNet subset in this place has other wnids."""
    write_train(tmp_path)
    (tmp_path / FOLDER / "train" / "n00000001").mkdir()
    with pytest.raises(DataError, match=r"train' holds the folder n00000001, which is none"):
        TINY.files(tmp_path, "train")


def test_an_empty_class_is_named(tmp_path):
    """What an interrupted extraction leaves."""
    write_train(tmp_path)
    (tmp_path / FOLDER / "train" / WNIDS[9] / "images").mkdir(parents=True)
    with pytest.raises(DataError, match=rf"{WNIDS[9]}/images' holds no image"):
        TINY.load(tmp_path, "train")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("val_0.JPEG\tn00000001\t0\t0\t1\t1\n", "line 1 must begin with"),
        ("../../secret.JPEG\t{wnid}\n", "line 1 must begin with"),
        ("val_0.JPEG {wnid}\n", "line 1 must begin with"),
        ("val_1.JPEG\t{wnid}\n", "lists 3 images, .* holds 3; they differ in val_0.JPEG"),
        ("", "lists 2 images, .* holds 3; they differ in val_0.JPEG"),
    ],
    ids=["wnid", "path", "no tab", "twice", "missing"],
)
def test_a_wrong_validation_list_is_told(tmp_path, line, message):
    """A list of another version, cut short, or one that leads out of its folder."""
    write_val(tmp_path)
    path = tmp_path / FOLDER / "val" / "val_annotations.txt"
    _, *others = path.read_text().splitlines(keepends=True)
    path.write_text(line.format(wnid=WNIDS[5]) + "".join(others))
    with pytest.raises(DataError, match=rf"val_annotations.txt' {message}"):
        TINY.load(tmp_path, "test")


def test_a_missing_validation_list_is_told(tmp_path):
    """Without it the images have no labels."""
    write_val(tmp_path)
    (tmp_path / FOLDER / "val" / "val_annotations.txt").unlink()
    with pytest.raises(DataError, match=r"Looked for\n.*val_annotations.txt"):
        TINY.files(tmp_path, "test")


def test_fingerprint_of_folders_is_of_names_sizes_and_labels(tmp_path):
    """Not of place or time; a changed list, name or size is other data."""
    write_val(tmp_path / "a")
    write_val(tmp_path / "b")
    annotations = tmp_path / "b" / FOLDER / "val" / "val_annotations.txt"
    os.utime(annotations, (1, 1))
    prints = [TINY.fingerprint(tmp_path / name, "test") for name in "ab"]
    annotations.write_text(annotations.read_text().replace(WNIDS[5], WNIDS[6]))
    prints.append(TINY.fingerprint(tmp_path / "b", "test"))
    image = tmp_path / "b" / FOLDER / "val" / "images" / "val_1.JPEG"
    image.rename(image.with_name("val_10.JPEG"))
    prints.append(TINY.fingerprint(tmp_path / "b", "test"))
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3


# -- Parquet ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [WNIDS, NAMES, [f"{name}, another word" for name in NAMES], None])
def test_parquet_is_read_whatever_it_calls_the_classes(tmp_path, names):
    """Wnids on the hub; the first of WordNet's words, or all of them, elsewhere."""
    images = noise(2, 64, 64, 3)
    write_parquet(tmp_path / "tinyimagenet-val.parquet", images, [199, 3], names=names)
    assert same(TINY.load(tmp_path, "test"), images, [199, 3])


def test_parquet_in_the_order_of_wnids_txt_is_refused(tmp_path):
    """The same integers would mean other classes: a trap that papers have fallen into."""
    names = [WNIDS[1], WNIDS[0], *WNIDS[2:]]
    write_parquet(tmp_path / "tinyimagenet-val.parquet", noise(1, 64, 64, 3), [0], names=names)
    with pytest.raises(DataError, match=rf"calls class 0 '{WNIDS[1]}', but here it is 'goldfish'"):
        TINY.load(tmp_path, "test")


def test_the_real_files_have_fifty_images_a_class(data_root):
    """And 168 grey ones among them, which are colour here."""
    if not list(data_root.glob("tinyimagenet-val*.parquet")):
        pytest.skip("tinyimagenet-val.parquet is not in the data folder")
    loaded = TINY.at(data_root, "test", 64)
    assert torch.equal(loaded.labels.bincount(), torch.full((200,), 50))
    images = loaded.images
    grey = ((images[:, 0] == images[:, 1]) & (images[:, 1] == images[:, 2])).flatten(1).all(1)
    assert grey.sum() >= 168


def test_wnids_are_sorted_as_in_the_real_list(data_root):
    """The numbers of all published splits rest on this order."""
    path = data_root / "tinyimagenet-wnids.txt"
    if not path.exists():
        pytest.skip("wnids.txt is not in the data folder")
    assert list(WNIDS) == sorted(path.read_text().split())
