"""The hashes of data files."""

import os
import shutil
import time

import pytest
from data_files import write_mnist

from osr_core.data import READERS, memory
from osr_core.data import files as files_module
from osr_core.data.folders import image_files, image_hashes, listing_fingerprint
from osr_core.errors import DataError


def test_fingerprint_does_not_depend_on_place_or_time(tmp_path):
    """Machines keep the data in different folders and must find each other's results."""
    write_mnist(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b" / "MNIST" / "raw")
    for path in (tmp_path / "b").rglob("*.gz"):
        os.utime(path, (1, 1))
    first, second = (READERS["mnist"].fingerprint(tmp_path / name, "train") for name in "ab")
    assert first == second


def test_fingerprint_depends_on_every_byte(tmp_path):
    """A changed image, even one, is other data."""
    write_mnist(tmp_path, packed=False)
    before = READERS["mnist"].fingerprint(tmp_path, "train")
    path = tmp_path / "train-images-idx3-ubyte"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, (1, 1))
    assert READERS["mnist"].fingerprint(tmp_path, "train") != before


def test_fingerprint_depends_on_the_order_of_files(tmp_path):
    """Parts in another order are images in another order."""
    for name in "ab":
        (tmp_path / name).write_text(name)
    paths = [tmp_path / "a", tmp_path / "b"]
    in_order = files_module.content_fingerprint(paths)
    assert files_module.content_fingerprint(paths[::-1]) != in_order


def test_a_file_that_rests_is_hashed_once(tmp_path, monkeypatch):
    """A sweep asks for fingerprints at every stage; hashing gigabytes each time would show."""
    (tmp_path / "big").write_text("big")
    monkeypatch.setattr(memory, "RESTED_S", -1)
    first = files_module.content_fingerprint([tmp_path / "big"])
    monkeypatch.setattr(files_module, "reading", None)
    assert files_module.content_fingerprint([tmp_path / "big"]) == first


@pytest.mark.parametrize("rested_s", [-1, 2])
def test_a_process_that_lives_on_sees_a_change_in_place(tmp_path, monkeypatch, rested_s):
    """Of the same size and name, with a time that was set back, in a file or a class's folder.

    With 2 as it is; with -1 also where the file was remembered before.
    """
    monkeypatch.setattr(memory, "RESTED_S", rested_s)
    path = tmp_path / "0.png"
    found = []
    for content in (b"one", b"two"):
        path.write_bytes(content)
        os.utime(path, ns=(1, 1))
        time.sleep(0.02 * (rested_s < 0))  # what is remembered goes by the clock of the files
        of_file = files_module.content_fingerprint([path])
        found.append((of_file, listing_fingerprint([tmp_path]), image_hashes(tmp_path)["0.png"]))
    assert not set(found[0]) & set(found[1])


def test_a_process_that_lives_on_sees_new_and_removed_files(tmp_path):
    """At once, whatever the folder's time of change says."""
    for names in (["a.png"], ["a.png", "b.png"], ["b.png", "c.txt"]):
        for path in tmp_path.iterdir():
            path.unlink()
        for name in names:
            (tmp_path / name).touch()
        os.utime(tmp_path, ns=(1, 1))
        images = [name for name in names if name.endswith("png")]
        assert [path.name for path in image_files(tmp_path)] == images


def test_fingerprint_of_a_missing_file_is_a_data_error(tmp_path):
    """No bare OSError leaves the readers."""
    with pytest.raises(DataError, match=r"'.*gone' cannot be read"):
        files_module.content_fingerprint([tmp_path / "gone"])
