"""The cache of decoded images: once per machine, whatever happens to it."""

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
import torch
from data_files import noise, write_parquet

from osr_core.data import READERS, cache
from osr_core.data.imageset import ImageSet
from osr_core.errors import DataError


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A cold cache for each test."""
    monkeypatch.setenv("OSR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def blocks(*sizes):
    """Pieces of that many images; image i is i everywhere, its label 2 i."""
    start = 0
    for size in sizes:
        number = torch.arange(start, start + size)
        images = number.to(torch.uint8)[:, None, None, None].expand(-1, 3, 4, 5)
        yield ImageSet(images, number * 2)
        start += size


def opened(decoded=lambda: blocks(2, 3), identity="a"):
    """An entry of the cache."""
    return cache.decoded_once("set", {"fingerprint": identity}, decoded)


def refuse():
    """A decoder that must not be called."""
    raise AssertionError("decoded again")


def test_the_pieces_come_back_as_one_set():
    """In order, with their labels, now and from the disk."""
    for loaded in (opened(), opened(refuse)):
        assert loaded.images.shape == (5, 3, 4, 5)
        assert loaded.images[:, 2, 3, 4].tolist() == [0, 1, 2, 3, 4]
        assert loaded.labels.tolist() == [0, 2, 4, 6, 8]


def test_another_identity_is_another_entry():
    """Changed files, another size or another reader must not meet."""
    opened()
    assert len(opened(lambda: blocks(1), identity="b")) == 1
    assert len(opened(refuse)) == 5


def test_a_name_may_be_as_long_as_its_folders(tmp_path, monkeypatch):
    """A file's name has 255 bytes, of which the cache needs some for itself."""
    monkeypatch.setenv("OSR_CACHE", str(tmp_path / "cache"))
    name = "b" * 240
    write_parquet(tmp_path / f"{name}-test.parquet", noise(1, 8, 8, 3), [0])
    assert READERS[f"parquet:{name}@8"].at(tmp_path, "test", 8).images.shape == (1, 3, 8, 8)


def test_the_key_holds_all_that_decides_the_pixels(tmp_path, monkeypatch):
    """Size, subset, content, the reader's version and that of what decodes files."""
    images = noise(2, 32, 32, 3)
    for subset in ("train", "test"):
        write_parquet(tmp_path / f"cifar10-{subset}.parquet", images, [1, 2])
    reader, keys = READERS["cifar10"], []

    def remember(name, identity, decoded):
        keys.append((name, json.dumps(identity)))
        return next(iter(decoded()))

    monkeypatch.setattr("osr_core.data.base.decoded_once", remember)
    assert reader.at(tmp_path, "train", 32).images.shape == (2, 3, 32, 32)
    assert reader.at(tmp_path, "train", 16).images.shape == (2, 3, 16, 16)
    reader.at(tmp_path, "test", 32)
    monkeypatch.setattr(type(reader), "version", reader.version + 1)
    reader.at(tmp_path, "train", 32)
    write_parquet(tmp_path / "cifar10-train.parquet", images[:1], [1])
    reader.at(tmp_path, "train", 32)
    monkeypatch.setattr("osr_core.data.base.version", lambda name: "0.1")
    reader.at(tmp_path, "train", 32)
    assert len(set(keys)) == 6


def test_arrays_are_not_kept(folder, tmp_path):
    """MNIST's files are read faster than a cache would be."""
    READERS["digits"].at(None, "train", 16)
    assert not folder.exists()


def test_writing_into_the_images_does_not_reach_the_disk():
    """All processes of the machine share the file."""
    opened().images.zero_()
    assert opened(refuse).images.any()


def damage(path, how):
    """Spoil a file of the cache."""
    content = path.read_bytes()
    if how == "flip":
        content = content[:7] + bytes([content[7] ^ 1]) + content[8:]
    path.write_bytes(
        {"cut": content[:-1], "longer": content + b"0", "empty": b""}.get(how, content)
    )


@pytest.mark.parametrize("how", ["flip", "cut", "longer", "empty", "gone"])
@pytest.mark.parametrize("ending", [".images", ".json"])
def test_a_damaged_entry_is_made_again(folder, how, ending):
    """A full disk, a crash of the machine, somebody's hand."""
    opened()
    (path,) = folder.glob(f"*{ending}")
    path.unlink() if how == "gone" else damage(path, how)
    if (how, ending) == ("longer", ".json"):
        path.write_text('{"shape": [5, 3, 4, 6], "checksum": 1}')
    calls = []
    assert opened(lambda: calls.append(1) or blocks(2, 3)).labels.tolist() == [0, 2, 4, 6, 8]
    assert calls == [1]
    assert len(opened(refuse)) == 5


def test_damage_in_a_large_file_is_seen_where_it_is_looked_for(tmp_path, monkeypatch):
    """Above SAMPLES x SAMPLE_BYTES pieces are read, the first and the last always."""
    monkeypatch.setattr(cache, "SAMPLES", 4)
    monkeypatch.setattr(cache, "SAMPLE_BYTES", 10)
    path = tmp_path / "large"
    content = bytes(1000)
    path.write_bytes(content)
    whole, seen = cache._checksum(path), []
    for at in range(0, 1000, 5):
        path.write_bytes(content[:at] + b"x" + content[at + 1 :])
        if cache._checksum(path) != whole:
            seen.append(at)
    assert seen == [start + i for start in (0, 330, 660, 990) for i in (0, 5)]


def test_an_error_while_decoding_leaves_no_entry(folder):
    """The next process must meet the same error, not half a set."""

    def broken():
        yield from blocks(2)
        raise DataError("image 3 is broken")

    for _ in range(2):
        with pytest.raises(DataError, match="image 3 is broken"):
            opened(broken)
    assert [path.suffix for path in folder.iterdir()] == [".lock"]


def test_a_cache_that_cannot_be_written_is_told(folder, monkeypatch):
    """With the variable that moves it elsewhere."""
    folder.write_text("a file where the folder should be")
    with pytest.raises(DataError, match=r"cannot be kept in '.*cache': .* Point OSR_CACHE"):
        opened()


def slowly(log):
    """A decoder that notes that it ran."""
    with Path(log).open("a") as file:
        file.write("decoded\n")
    time.sleep(0.5)
    yield from blocks(2, 3)


def open_and_tell(log, start, answers):
    """What each of ten processes does."""
    start.wait()
    loaded = opened(lambda: slowly(log))
    answers.put((int(loaded.images.sum()), loaded.labels.tolist()))


def test_ten_processes_at_once_decode_once(tmp_path):
    """A cluster starts its workers together, on a cold cache."""
    fork = multiprocessing.get_context("fork")
    start, answers = fork.Event(), fork.Queue()
    log = tmp_path / "log"
    workers = [fork.Process(target=open_and_tell, args=(log, start, answers)) for _ in range(10)]
    for worker in workers:
        worker.start()
    start.set()
    found = [answers.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    assert log.read_text() == "decoded\n"
    assert all(answer == found[0] for answer in found)
    assert found[0][1] == [0, 2, 4, 6, 8]


def decode_for_ever(ready):
    """Begin an entry and never end."""

    def endless():
        yield from blocks(2)
        ready.set()
        time.sleep(600)

    opened(endless)


def test_a_process_killed_while_decoding_leaves_the_way_free(folder):
    """Its lock goes with it, and its half-written file is not taken for an entry."""
    fork = multiprocessing.get_context("fork")
    ready = fork.Event()
    worker = fork.Process(target=decode_for_ever, args=(ready,))
    worker.start()
    assert ready.wait(60)
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    assert [path.suffix for path in folder.iterdir() if path.suffix == ".part"] == [".part"]
    assert len(opened()) == 5
    assert sorted(path.suffix for path in folder.iterdir()) == [".images", ".json", ".lock"]
