"""CIFAR's Python archives, right and wrong, and the real Parquet files."""

import hashlib
import os
import pickle

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from data_files import CIFAR10, CIFAR100, archive_reader, noise, write_batch, write_parquet

from osr_core.data import READERS
from osr_core.data.pickles import read_arrays
from osr_core.errors import DataError
from osr_core.vision import torchvision


@pytest.mark.parametrize("cls", [CIFAR10, CIFAR100])
def test_archive_comes_back_exactly_and_in_order(tmp_path, cls):
    """Batch after batch; a row is the red, then the green, then the blue plane."""
    reader = archive_reader(tmp_path, cls=cls)
    loaded = reader.load(tmp_path, "train")
    num_batches = len(cls.batches["train"])
    rows = np.concatenate([noise(3, 3072, seed=seed) for seed in range(num_batches)])
    assert np.array_equal(loaded.images.numpy(), rows.reshape(-1, 3, 32, 32))
    assert loaded.labels.tolist() == [seed + i for seed in range(num_batches) for i in range(3)]
    assert reader.load(tmp_path, "test").images.shape == (3, 3, 32, 32)


def test_checksums_are_those_that_torchvision_knows():
    """Ours are typed by hand, so that reading needs no torchvision; here they are compared."""
    for cls in (CIFAR10, CIFAR100):
        theirs = getattr(torchvision.datasets, cls.__name__)
        assert cls.folder == theirs.base_folder
        for subset, files in (("train", theirs.train_list), ("test", theirs.test_list)):
            assert cls.batches[subset] == dict(files)


def test_the_archive_is_preferred_to_parquet(tmp_path):
    """It has the original order, which published index lists refer to."""
    reader = archive_reader(tmp_path)
    write_parquet(tmp_path / "cifar10-test.parquet", noise(1, 32, 32, 3), [0])
    assert [path.name for path in reader.files(tmp_path, "test")] == ["test_batch"]


def test_a_missing_batch_is_named(tmp_path):
    """A half-extracted archive must not give half a dataset."""
    reader = archive_reader(tmp_path)
    (tmp_path / "cifar-10-batches-py" / "data_batch_3").unlink()
    with pytest.raises(DataError, match="cifar-10-batches-py/data_batch_3"):
        reader.load(tmp_path, "train")


def test_a_changed_batch_is_refused_before_it_is_unpickled(tmp_path, monkeypatch):
    """The MD5 says that it is the published file; nothing else is opened."""
    archive_reader(tmp_path)
    monkeypatch.setattr("osr_core.data.pickles._ArraysOnly", None)
    with pytest.raises(DataError, match=r"test_batch' is truncated or changed: its MD5 is"):
        READERS["cifar10"].load(tmp_path, "test")


def md5_of(content):
    """As `read_arrays` wants it."""
    return hashlib.md5(content).hexdigest()


class Attack:
    """Unpickled the usual way, this makes a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_no_function_is_ever_called_by_a_pickle(tmp_path):
    """Even with a matching MD5: a pickle may ask for anything, and gets arrays only."""
    target = tmp_path / "made by the pickle"
    md5 = write_batch(tmp_path / "batch", Attack(target), [])
    with pytest.raises(DataError, match=r"batch' is not a pickle of arrays: it asks for posix"):
        read_arrays(tmp_path / "batch", md5)
    assert not target.exists()


@pytest.mark.parametrize("name", ["builtins.eval", "numpy.load", "numpy.core.multiarray.scalar"])
def test_other_names_are_refused(tmp_path, name):
    """Also those inside the allowed modules."""
    module, _, function = name.rpartition(".")
    content = f"c{module}\n{function}\n.".encode()
    (tmp_path / "batch").write_bytes(content)
    md5 = md5_of(content)
    with pytest.raises(DataError, match=rf"it asks for {name}"):
        read_arrays(tmp_path / "batch", md5)


def test_a_pickle_of_python_2_is_read(tmp_path):
    """The published batches: protocol 2, byte strings, numpy 1's module names."""
    rows = noise(2, 3072)
    content = python_2_pickle(rows, [3, 5])
    (tmp_path / "batch").write_bytes(content)
    held = read_arrays(tmp_path / "batch", md5_of(content))
    assert np.array_equal(held["data"], rows)
    assert held["labels"] == [3, 5]


def python_2_pickle(rows, labels):
    """{'data': rows, 'labels': labels} as Python 2 wrote it with numpy 1."""

    def text(value):
        return b"T" + len(value).to_bytes(4, "little") + value  # a byte string

    def number(value):
        return b"J" + value.to_bytes(4, "little", signed=True)

    kind = b"cnumpy\ndtype\n" + b"(" + text(b"u1") + number(0) + number(1) + b"tR"
    kind += b"(" + number(3) + text(b"|") + b"NNN" + number(-1) + number(-1) + number(0) + b"tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n"
    array += b"(" + number(0) + b"t" + text(b"b") + b"tR"
    shape = b"(" + number(rows.shape[0]) + number(rows.shape[1]) + b"t"
    array += b"(" + number(1) + shape + kind + b"I00\n" + text(rows.tobytes()) + b"tb"
    listed = b"(" + b"".join(map(number, labels)) + b"l"
    return b"\x80\x02(" + text(b"data") + array + text(b"labels") + listed + b"d."


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": noise(3, 3000)}, r"3072 bytes \(3 x 32 x 32\) .* uint8 of shape \(3, 3000\)"),
        ({"data": noise(2, 3072)}, r"each of its 3 labels; it holds uint8 of shape \(2, 3072\)"),
        ({"data": np.zeros((3, 3072))}, "it holds float64"),
        ({"data": [1, 2, 3]}, "must hold an array 'data' and a list 'labels'"),
        ({"labels": None}, "must hold an array 'data' and a list 'labels'"),
        ({"labels": [0, 10, 0]}, "row 1: label 10 is not one of the 10 classes, 0 to 9"),
    ],
)
def test_a_batch_with_other_content_is_refused(tmp_path, changes, message):
    """Sizes, types and labels are looked at before anything is reshaped."""
    reader = archive_reader(tmp_path, **changes)
    with pytest.raises(DataError, match=message):
        reader.load(tmp_path, "test")


def test_a_truncated_pickle_is_refused(tmp_path):
    """Should its MD5 ever match, the error is still one of ours."""
    content = pickle.dumps({"data": noise(2, 3072)}, protocol=4)[:-100]
    (tmp_path / "batch").write_bytes(content)
    md5 = md5_of(content)
    with pytest.raises(DataError, match="is not a pickle of arrays"):
        read_arrays(tmp_path / "batch", md5)


def test_a_train_subset_is_needed_only_when_asked_for(tmp_path):
    """CIFAR+N takes its unknown classes from CIFAR-100's test images alone."""
    write_parquet(tmp_path / "cifar100-test.parquet", noise(2, 32, 32, 3), [0, 99])
    assert READERS["cifar100"].load(tmp_path, "test").labels.tolist() == [0, 99]
    assert READERS["cifar100"].fingerprint(tmp_path, "test")
    with pytest.raises(DataError, match="CIFAR-100: the train images are not there"):
        READERS["cifar100"].files(tmp_path, "train")


def test_cifar10_does_not_take_the_files_of_cifar100(tmp_path):
    """One name begins with the other."""
    write_parquet(tmp_path / "cifar100-test.parquet", noise(2, 32, 32, 3), [0, 1])
    with pytest.raises(DataError, match="CIFAR-10: the test images are not there"):
        READERS["cifar10"].files(tmp_path, "test")


REAL = [
    # name, subset, images per class, channel means as published (test) or as measured (part)
    ("cifar10", "test", 1000, (0.4942, 0.4851, 0.4504)),
    ("cifar10", "train", 1000, (0.4936, 0.4832, 0.4470)),
    ("cifar100", "test", 100, (0.5088, 0.4874, 0.4419)),
]


@pytest.mark.parametrize(("name", "subset", "per_class", "means"), REAL)
def test_the_real_files_are_cifar(data_root, name, subset, per_class, means):
    """Counts, channel means, and the name that each row gives for its label."""
    reader = READERS[name]
    try:
        paths = reader.files(data_root, subset)
    except DataError as error:
        pytest.skip(str(error))
    if paths[0].suffix != ".parquet" or "label_name" not in pq.read_schema(paths[0]).names:
        pytest.skip("other files than those the counts were taken from")
    loaded = reader.load(data_root, subset)
    counts = loaded.labels.bincount()
    assert torch.equal(counts, torch.full_like(counts, per_class))
    assert len(counts) == len(reader.classes)
    found = loaded.images.double().mean((0, 2, 3)) / 255
    assert found.tolist() == pytest.approx(means, abs=5e-5)
    names = pq.read_table(paths[0], columns=["label_name"])["label_name"].to_pylist()
    assert [reader.classes[label] for label in loaded.labels.tolist()] == names
