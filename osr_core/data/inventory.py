"""What of the datasets is on this machine."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from osr_core.data import BENCHMARKS
from osr_core.data.base import Reader, Subset
from osr_core.data.folders import num_bytes
from osr_core.errors import DataError, MissingDataError


def inventory(root: Path | None, readers: Mapping[str, Reader]) -> list[dict[str, Any]]:
    """A row for each of `readers` by name: what it is, what of it lies under `root`, its licence.

    "train" and "test" are the fingerprints of what is there, None where files are missing or, as
    "problems" then say, cannot be read.
    """
    rows = []
    for name, reader in readers.items():
        pairs = [b.name for b in BENCHMARKS.values() if name in (b.known.name, b.unknown.name)]
        row = {
            "reader": name,
            "title": reader.title,
            "classes": len(reader.classes) or None,
            "image": f"{reader.channels}x{reader.image_size}x{reader.image_size}",
        }
        rows.append({**row, **_found(reader, root), "datasets": pairs, "licence": reader.licence})
    return rows


def _found(reader: Reader, root: Path | None) -> dict[str, Any]:
    found: dict[str, Any] = {"train": None, "test": None, "bytes": None, "problems": {}}
    subsets: tuple[Subset, ...] = ("train", "test")
    for subset in subsets:
        try:
            size = sum(map(num_bytes, reader.files(root, subset)))
            found[subset] = reader.fingerprint(root, subset)
        except MissingDataError:
            continue
        except DataError as error:
            found["problems"][subset] = str(error)
            continue
        found["bytes"] = (found["bytes"] or 0) + size
    return found
