"""Small data files in the exact formats of the published ones, right or wrong on purpose."""

import gzip
import hashlib
import io
import json
import pickle
import struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from osr_core.data.cifar import CIFAR10, CIFAR100

MNIST_NAMES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


def noise(num, *shape, seed=0):
    """(num, *shape) uint8."""
    return np.random.default_rng(seed).integers(0, 256, (num, *shape), dtype=np.uint8)


def idx_bytes(values):
    """An array of bytes as an IDX file's content."""
    header = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    return header + values.tobytes()


def write_mnist(root, subset="train", num=20, *, images=None, labels=None, packed=True):
    """Two IDX files with labels 0, 1, ... 9, 0, ...; gives images and labels."""
    root.mkdir(parents=True, exist_ok=True)
    images = noise(num, 28, 28) if images is None else images
    labels = np.arange(num, dtype=np.uint8) % 10 if labels is None else labels
    for name, values in zip(MNIST_NAMES[subset], (images, labels), strict=True):
        content = idx_bytes(values)
        if packed:
            (root / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
        else:
            (root / name).write_bytes(content)
    return images, labels


def png(pixels, encoding="PNG"):
    """(H, W, 3) or (H, W) uint8 as an encoded file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, encoding)
    return file.getvalue()


def write_parquet(
    path, images, labels, *, image_column="image", label_column="label", names=None, encoded=None
):
    """Images (N, H, W, 3) as on the Hugging Face hub; `encoded` replaces the image files."""
    files = [png(pixels) for pixels in images] if encoded is None else encoded
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = pa.array([{"bytes": file, "path": f"{i}.png"} for i, file in enumerate(files)], kind)
    table = pa.table({image_column: rows, label_column: pa.array(labels, pa.int64())})
    if names is not None:
        features = {label_column: {"names": list(names), "_type": "ClassLabel"}}
        content = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": content})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def write_batch(path, data, labels, label_key="labels", protocol=4):
    """A pickle such as CIFAR's batches; gives its MD5."""
    content = pickle.dumps(
        {"batch_label": "a batch", "data": data, label_key: labels}, protocol=protocol
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return hashlib.md5(content).hexdigest()


def archive_reader(root, num=3, cls=CIFAR10, **changes):
    """A reader of a small archive that is written here, with this archive's MD5s.

    `changes` may replace "data" or "labels" of every batch.
    """
    batches = {}
    for subset, files in cls.batches.items():
        batches[subset] = {}
        for seed, name in enumerate(files):
            data = changes.get("data", noise(num, 3072, seed=seed))
            labels = changes.get("labels", [(seed + i) % 10 for i in range(num)])
            path = root / cls.folder / name
            batches[subset][name] = write_batch(path, data, labels, cls.label_key)
    return type(f"Small{cls.__name__}", (cls,), {"batches": batches})()


__all__ = [
    "CIFAR10",
    "CIFAR100",
    "archive_reader",
    "idx_bytes",
    "noise",
    "png",
    "write_batch",
    "write_mnist",
    "write_parquet",
]
