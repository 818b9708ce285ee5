"""A data set's files come into the store, for machines that do not have them."""

from collections.abc import Callable
from pathlib import Path

from osr_core.data import reader
from osr_core.errors import DataError
from sweeps.home import Home
from sweeps.planning.known_data import facts_of
from sweeps.store.shared_data import SharedData
from sweeps.store.store import Store


def share(name: str, data_root: Path, home: Home, tell: Callable[[int], None]) -> tuple[int, bool]:
    """Keep the files of a data set in the store: how many these are, and whether any of it is new.

    Args:
        name: of its reader.
        data_root: the folder in which they lie.
        home: whose store gets them.
        tell: hears the bytes of each file that is there.

    Raises:
        DataError: files are missing or cannot be read. StoreError: the store takes none.
    """
    facts = facts_of(name, data_root)
    paths = {
        path.relative_to(data_root).as_posix(): path
        for subset in facts["subsets"]
        for path in reader(name).every_file(data_root, subset)
    }
    if not paths:
        raise DataError(f"{name} comes with a library: every machine has it.")
    try:
        is_new = SharedData.at(Store(home.store).uri).share(facts, paths, tell)
    except OSError as error:
        raise DataError(f"'{error.filename}' cannot be read: {error.strerror}.") from error
    return len(paths), is_new
