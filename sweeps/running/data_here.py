"""A stage's data on its machine: under the data root or, once for all stages, out of the store.

    OSR_CACHE/data/files/3f9a....   files from the store, by their checksum
    OSR_CACHE/data/3f9a..../        a data root made of links to them

The folder may be deleted between sweeps.
"""

import os
import shutil
import socket
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from osr_core.data import reader
from osr_core.data.cache import cache_folder, locked
from osr_core.data.tasks import check_here, data_of
from osr_core.errors import DataError
from osr_core.identity import digest
from osr_core.results.whole_files import write_atomically
from sweeps.store.files import StoreError, UnreachableError, at_once
from sweeps.store.shared_data import Note, SharedData


class LacksDataError(DataError):
    """This machine cannot get the data that a stage was planned with."""


Needs = tuple[tuple[str, str], ...]  # ("cifar10/train", fingerprint), in order


def needs_of(config: Mapping[str, Any]) -> Needs:
    """What data a stage reads."""
    return tuple(sorted(data_of(config).items()))


def root_with(needs: Needs, data_root: Path | None, store: str | Path) -> Path | None:
    """A folder with all the data that a stage needs: the data root, or one made from the store.

    Unless all of it is under the data root, all is taken from the store.

    Raises:
        LacksDataError: neither has it, or this machine has no room for it.
        UnreachableError: the store does not answer.
    """
    try:
        _check(data_root, needs)
        return data_root
    except DataError as error:
        here = str(error).partition("\n")[0].partition(". ")[0]
    what = ", ".join(f"{name} (fingerprint {fingerprint})" for name, fingerprint in needs)
    host = socket.gethostname()
    try:
        notes = _notes(needs, SharedData.at(store))
        if notes is None:
            raise LacksDataError(
                f"{host} has no {what}, and the store has none either. Put the files under the "
                "data root of every machine, or share them from one that has them: osr datasets "
                f"share {needs[0][0].partition('/')[0]}. There: {here}"
            )
        root = _made_of(notes, SharedData.at(store))
        _check(root, needs)
        return root
    except UnreachableError:
        raise
    except (OSError, StoreError) as error:
        raise LacksDataError(f"{host} cannot take {what} from the store: {error}") from error


@lru_cache(maxsize=64)  # of successes: what is not here may come
def _check(root: Path | None, needs: Needs) -> None:
    for part, fingerprint in needs:
        name, _, subset = part.rpartition("/")
        check_here(root, name, subset, fingerprint)  # type: ignore[arg-type]


def _notes(needs: Needs, shared: SharedData) -> list[Note] | None:
    """Of each data set that is needed, in the version that is; None: the store lacks one."""
    wanted: dict[str, dict[str, str]] = {}
    for part, fingerprint in needs:
        name, _, subset = part.rpartition("/")
        wanted.setdefault(name, {})[subset] = fingerprint
    found = []
    for name, subsets in wanted.items():
        fits = [note for note in shared.of(name) if _gives(note, name, subsets)]
        if not fits:
            return None
        found.append(fits[0])
    return found


def _gives(note: Note, name: str, subsets: Mapping[str, str]) -> bool:
    there = note["facts"]["subsets"]
    return all(
        subset in there and reader(name).of_version(there[subset]["content"]) == fingerprint
        for subset, fingerprint in subsets.items()
    )


def _made_of(notes: Iterable[Note], shared: SharedData) -> Path:
    """A data root with the files of some data sets; one process makes it, the others wait."""
    files = {path: checksum for note in notes for path, checksum in note["files"].items()}
    base = cache_folder() / "data"
    root = base / digest([files])
    base.mkdir(parents=True, exist_ok=True)
    with locked(base / "lock"):
        if root.exists():
            return root
        whole = root.with_suffix(".part")
        shutil.rmtree(whole, ignore_errors=True)

        def take(path: str) -> None:
            kept = base / "files" / files[path]
            if not kept.exists():
                write_atomically(kept, shared.read(files[path]))
            place = whole / path
            place.parent.mkdir(parents=True, exist_ok=True)
            os.link(kept, place)

        at_once(take, files)
        whole.rename(root)
    return root
