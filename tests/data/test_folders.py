"""Folders of images: what is read, what is left out and said, and what a fingerprint stands for."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from data_files import noise, png

from osr_core.data import BENCHMARKS, READERS, memory
from osr_core.data.checks import remarks
from osr_core.errors import DataError

NAME = "folder:birds@8"
READER = READERS[NAME]


def write(path: Path, seed: int = 0, encoding: str = "PNG") -> Path:
    """One image, of its own pixels for each seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(noise(1, 8, 8, 3, seed=seed)[0], encoding))
    return path


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Two classes of two training images and one test image each; hashes are kept beside them."""
    monkeypatch.setenv("OSR_CACHE", str(tmp_path / "cache"))
    for cls in ("crow", "owl"):
        for number in range(2):
            write(tmp_path / "birds" / "train" / cls / f"{number}.png", len(cls) * 10 + number)
        write(tmp_path / "birds" / "test" / cls / "0.png", len(cls) * 10 + 5)
    return tmp_path


def said(root):
    """What a plan says of the data."""
    return list(remarks(root, BENCHMARKS[NAME]))


def test_two_images_exchanged_between_classes_are_other_data(root):
    """Names, sizes and times stay as they were; each image has another label."""
    one, two = (root / "birds" / "train" / cls / "0.png" for cls in ("crow", "owl"))
    times = [(path.stat().st_atime_ns, path.stat().st_mtime_ns) for path in (one, two)]
    sizes = [path.stat().st_size for path in (one, two)]
    for path, size in zip((one, two), sizes, strict=True):  # what follows the image is not read
        path.write_bytes(path.read_bytes() + bytes(max(sizes) - size))
    first, second = one.read_bytes(), two.read_bytes()
    before = READER.fingerprint(root, "train")
    one.unlink()
    two.unlink()
    one.write_bytes(second)
    two.write_bytes(first)
    for path, time in zip((one, two), times, strict=True):
        os.utime(path, ns=time)
    assert READER.fingerprint(root, "train") != before


def test_a_copy_of_the_data_is_the_same_data(root):
    """Wherever it lies, and whenever it was written."""
    shutil.copytree(root / "birds", root / "elsewhere" / "birds", copy_function=shutil.copyfile)
    assert READER.fingerprint(root / "elsewhere", "train") == READER.fingerprint(root, "train")


def test_an_image_is_hashed_once_per_machine(root, monkeypatch):
    """A million of them would take longer than training on them; a changed one is hashed again."""
    monkeypatch.setattr(memory, "RESTED_S", -1)
    asked = []
    hash_of = memory.remembered

    def counted(folder, names, what, find):
        return hash_of(folder, names, what, lambda path: asked.append(path.name) or find(path))

    monkeypatch.setattr("osr_core.data.folders.remembered", counted)
    READER.fingerprint(root, "train")
    assert sorted(asked) == ["0.png", "0.png", "1.png", "1.png"]
    write(root / "birds" / "train" / "crow" / "2.png", 7)
    asked.clear()
    READER.fingerprint(root, "train")
    assert asked == ["2.png"]


def test_what_was_hashed_can_be_forgotten(root, monkeypatch):
    """Where a tool rewrites files and sets their times back."""
    monkeypatch.setattr(memory, "RESTED_S", -1)
    READER.fingerprint(root, "train")
    assert list((root / "cache" / "hashes").iterdir())
    memory.forget()
    assert not (root / "cache" / "hashes").exists()


def test_a_damaged_or_forbidden_memory_costs_time_alone(root, monkeypatch):
    """It is a cache."""
    monkeypatch.setattr(memory, "RESTED_S", -1)
    before = READER.fingerprint(root, "train")
    for path in (root / "cache" / "hashes").iterdir():
        path.write_text("{")
    write(root / "birds" / "train" / "crow" / "2.png", 7)
    assert READER.fingerprint(root, "train") != before


def test_hidden_files_are_no_images(root):
    """Thumbnails of a file manager, and what another system leaves beside each file."""
    before = READER.fingerprint(root, "train")
    folder = root / "birds" / "train" / "crow"
    write(folder / ".thumb.png")
    (folder / "._0.png").write_bytes(b"Mac OS X")
    write(folder / ".cache" / "0.png")
    write(folder / "@eaDir" / "0.png" / "THUMB_XL.jpg")
    write(root / "birds" / "train" / "@eaDir" / "0.png")
    write(root / "birds" / "train" / "__MACOSX" / "0.png")
    assert READER.fingerprint(root, "train") == before
    assert len(READER.load(root, "train")) == 4
    assert said(root) == []


def test_every_ending_that_is_read_is_read_in_any_case(root):
    """Each with its own label."""
    for encoding in ("webp", "BMP", "jpeg"):
        write(root / "birds" / "train" / "owl" / f"x.{encoding}", 1, encoding.upper())
    assert READER.load(root, "train").labels.tolist() == [0, 0, 1, 1, 1, 1, 1]
    assert READER.labels(root, "train").tolist() == [0, 0, 1, 1, 1, 1, 1]


def test_what_is_left_out_is_said_with_counts_and_examples(root):
    """Two of a kind are one remark."""
    crow = root / "birds" / "train" / "crow"
    for name in ("a.heic", "b.heic", "list.txt"):
        (crow / name).write_bytes(b"x")
    write(crow / "more" / "deep" / "3.png", 3)
    write(root / "birds" / "test" / "loose.png", 4)
    assert said(root) == [
        f"{NAME}/train leaves out what is no image in its place: 2 of .heic (crow/a.heic), 1 of "
        ".txt (crow/list.txt), 1 in deeper folders (crow/more/deep/3.png).",
        f"{NAME}/test leaves out 1 file beside the folders of its classes (loose.png).",
    ]


def test_a_class_whose_images_lie_deeper_is_named_with_what_is_there(root):
    """The message shows the folder that is in between."""
    shutil.rmtree(root / "birds" / "train" / "crow")
    write(root / "birds" / "train" / "crow" / "images" / "0.png")
    with pytest.raises(DataError, match=r"crow' holds no image .*; it holds images/\."):
        READER.labels(root, "train")


def test_copies_of_training_images_in_the_test_are_said(root):
    """Under any name and in any class."""
    train = root / "birds" / "train" / "owl" / "1.png"
    shutil.copyfile(train, root / "birds" / "test" / "crow" / "copy.png")
    (remark,) = said(root)
    assert "1 test image of folder:birds@8 is a copy of a training image: crow/copy.png" in remark
    assert "owl/1.png" in remark


@pytest.mark.parametrize("name", ["val", "validation", "valid"])
def test_folders_that_other_tools_name_are_the_test_images(root, name):
    """As the hub's imagefolder and torchvision's examples call them."""
    (root / "birds" / "test").rename(root / "birds" / name)
    assert len(READER.load(root, "test")) == 2
    assert said(root) == [f"{NAME}/test is made of the folder {name}."]


def test_of_test_and_validation_images_one_is_said_to_be_unused(root):
    """They would be trained on nowhere."""
    shutil.copytree(root / "birds" / "test", root / "birds" / "val")
    assert said(root) == [f"{NAME}/test is made of the folder test, and not of val (2 files)."]


def test_numbers_as_names_are_taken_in_their_order(tmp_path):
    """By the alphabet class 2 would be the folder 10."""
    for subset in ("train", "test"):
        for number in range(12):
            write(tmp_path / "birds" / subset / str(number) / "0.png", number + (subset == "test"))
    assert READER.class_names(tmp_path) == [str(number) for number in range(12)]
    assert READER.labels(tmp_path, "train").tolist() == list(range(12))
    remark = said(tmp_path)[0]
    assert remark.startswith(f"{NAME} has folders with numbers, taken in their order: class 0 is f")


def test_whatever_lies_beside_train_and_test_is_said(root):
    """Images in a folder of another name would be trained on nowhere; so would those of deeper."""
    write(root / "birds" / "extra" / "crow" / "9.png", 9)
    (root / "birds" / "README.md").write_text("birds")
    deeper = root / "birds" / "test" / "owl" / "raw" / "0.cr2"
    deeper.parent.mkdir()
    deeper.write_bytes(b"x")
    write(root / "birds" / "test" / "owl" / "raw" / ".cache" / "1.png")
    assert said(root) == [
        f"{NAME} leaves out 2 files beside its folders train and test (README.md).",
        f"{NAME}/test leaves out what is no image in its place: 1 in deeper folders "
        "(owl/raw/0.cr2).",
    ]


def test_a_pipe_is_no_image(root):
    """Reading it would wait for ever."""
    os.mkfifo(root / "birds" / "train" / "owl" / "pipe.png")
    assert len(READER.load(root, "train")) == 4
    assert said(root) == [
        f"{NAME}/train leaves out what is no image in its place: 1 of .png (owl/pipe.png)."
    ]


def test_a_link_to_nowhere_is_refused(root):
    """An image is meant that is not there."""
    link = root / "birds" / "train" / "owl" / "link.png"
    link.symlink_to("nowhere")
    with pytest.raises(DataError, match="cannot be read: No such file"):
        READER.load(root, "train")


def test_a_class_must_have_a_name_that_can_be_exported(root):
    """Parquet holds UTF-8; without this, the scores would be found not to fit after the fit."""
    write(root / "birds" / "train" / os.fsdecode(b"caf\xe9") / "0.png")
    with pytest.raises(DataError, match=r"name is no UTF-8: 'caf\\udce9'; rename it"):
        READER.labels(root, "train")


def test_a_python_that_takes_names_for_ascii_is_told_apart_from_such_names(root):
    """A sound name was called no UTF-8, and could not be renamed to be any better."""
    write(root / "birds" / "train" / "b\u00fcrzel" / "0.png")
    code = "import pathlib, sys; from osr_core.data import reader; "
    code += "reader(sys.argv[1]).labels(pathlib.Path(sys.argv[2]), 'train')"
    ascii_alone = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code, READER.name, str(root)],
        env=os.environ | ascii_alone,
        capture_output=True,
        text=True,
        check=False,
    )
    said = r"holds a folder whose name is 'b\xfcrzel', and this Python takes names for ascii. Set"
    assert said in done.stderr
