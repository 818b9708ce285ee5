"""A stage's data on its machine: under the data root or, once for all stages, out of the store."""

import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from osr_core.data import reader
from osr_core.data.tasks import check_here, data_of
from osr_core.errors import DataError
from osr_core.results.whole_files import write_atomically
from sweeps.store.data_root import folder_of, root_of
from sweeps.store.files import StoreError, UnreachableError
from sweeps.store.shared_data import Note, SharedData


class LacksDataError(DataError):
    """This machine cannot get the data that a stage was planned with."""


Needs = tuple[tuple[str, str], ...]  # ("cifar10/train", fingerprint), in order


def needs_of(config: Mapping[str, Any]) -> Needs:
    """What data a stage reads."""
    return tuple(sorted(data_of(config).items()))


def root_with(needs: Needs, data_root: str | None, store: str | Path) -> Path | None:
    """A folder with all the data that a stage needs: the data root, or one made from the store.

    Unless all of it is under the data root, all is taken from the store.

    Raises:
        LacksDataError: neither has it, or this machine has no room for it.
        UnreachableError: the store or the data root's bucket does not answer.
    """
    try:
        return _given(data_root, needs)
    except DataError as error:
        first = error
    here = str(first).partition("\n")[0].partition(". ")[0]
    what = ", ".join(f"{name} (fingerprint {fingerprint})" for name, fingerprint in needs)
    host = socket.gethostname()
    try:
        notes = _notes(needs, SharedData.at(store))
        if notes is None and isinstance(first, UnreachableError):
            raise first
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


@lru_cache(maxsize=64)  # as below
def _given(data_root: str | None, needs: Needs) -> Path | None:
    """The data root's folder, once it is known to have all that is needed."""
    with suppress(DataError):
        _check(None, needs)  # what comes with a library is taken from no bucket
        return None
    root = folder_of(data_root)
    _check(root, needs)
    return root


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
    """A data root with the files of some data sets."""
    files = {path: checksum for note in notes for path, checksum in note["files"].items()}
    return root_of(files, lambda path, place: write_atomically(place, shared.read(files[path])))
