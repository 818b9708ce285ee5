"""An epoch read from the cache of decoded images, against decoding the files for every epoch.

The files are the real ones under OSR_DATA where they are there, else noise written in the same
format. One epoch here is every image once, in shuffled batches of floats, without a network: what
the data cost. `cold_s` is the first use on a machine, which fills the cache; `warm_s` the opening
of the cache by a later process, its check included. Files decoded every epoch are decoded by one
thread: a DataLoader with w workers would divide that by w at best.
"""

import io
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from osr_core.data import READERS
from osr_core.data.batches import Batches, to_float
from osr_core.data.encoded import decode_exact

SETS = (("cifar10", "test", 32), ("tinyimagenet", "test", 64))
NUM, BATCH, ROUNDS = 10_000, 128, 3


def measure() -> list[dict[str, Any]]:
    """One row per dataset; the cache is a fresh one."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["OSR_CACHE"] = f"{folder}/cache"
        for name, subset, side in SETS:
            root = Path(os.environ.get("OSR_DATA", folder))
            source = "real files"
            if not list(root.glob(f"{name}-*.parquet")):
                root, source = Path(folder), "noise"
                write_noise(root, name, side)
            rows.append({"dataset": name, "images": source, **compare(root, name, subset, side)})
            print("   " + "  ".join(f"{key} {value}" for key, value in rows[-1].items()))
    return rows


def compare(root: Path, name: str, subset: Any, side: int) -> dict[str, Any]:
    """Seconds of the first and a later opening, and of an epoch either way."""
    reader = READERS[name]
    cold_s = seconds(lambda: reader.at(root, subset, side))
    warm_s = best(lambda: reader.at(root, subset, side))
    batches = Batches(reader.at(root, subset, side), batch_size=BATCH)
    generator = torch.Generator().manual_seed(0)
    cached_s = best(lambda: cached_epoch(batches, generator))
    files = encoded_files(reader.files(root, subset))
    decoded_s = best(lambda: decoded_epoch(files, side, generator))
    return {
        "size": f"{len(files)}x3x{side}x{side}",
        "cold_s": round(cold_s, 2),
        "warm_s": round(warm_s, 3),
        "epoch_from_cache_s": round(cached_s, 3),
        "epoch_decoding_s": round(decoded_s, 3),
        "ratio": round(decoded_s / cached_s, 1),
    }


def encoded_files(paths: Any) -> list[bytes]:
    """The encoded images of Parquet files, in memory: reading them is not what is measured."""
    tables = [pq.read_table(path, columns=["image"]) for path in paths]
    return [row["bytes"] for table in tables for row in table["image"].to_pylist()]


def cached_epoch(batches: Batches, generator: torch.Generator) -> int:
    """An epoch of images that are decoded, changed in nothing."""
    return sum(len(batches.augmented(batch).images) for batch in batches.shuffled(generator))


def decoded_epoch(files: list[bytes], side: int, generator: torch.Generator) -> int:
    """An epoch that decodes each image when its turn comes."""
    seen = 0
    for index in torch.split(torch.randperm(len(files), generator=generator), BATCH):
        pixels = np.stack([decode_exact(files[i], side, "image") for i in index.tolist()])
        seen += len(to_float(torch.from_numpy(pixels).permute(0, 3, 1, 2)))
    return seen


def write_noise(root: Path, name: str, side: int) -> None:
    """A Parquet file of PNG images as on the hub."""
    part = "val" if name == "tinyimagenet" else "test"
    images = torch.randint(0, 256, (NUM, 3, side, side), dtype=torch.uint8)
    rows = [{"bytes": png(image)} for image in images]
    table = pa.table({"image": rows, "label": [number % 10 for number in range(NUM)]})
    pq.write_table(table, root / f"{name}-{part}.parquet")


def png(image: torch.Tensor) -> bytes:
    """(3, H, W) uint8 as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(file, "PNG")
    return file.getvalue()


def seconds(action: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def best(action: Callable[[], object]) -> float:
    """The shortest of some calls."""
    return min(seconds(action) for _ in range(ROUNDS))
