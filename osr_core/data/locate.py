"""Where a reader looks for its files, and how to say that one is missing."""

from collections.abc import Iterable
from pathlib import Path

from osr_core.data.base import Reader, Subset
from osr_core.errors import DataError, MissingDataError

POINT_AT_IT = "Point --data-root or the variable OSR_DATA at the folder that holds it."


def data_root(root: Path | None, reader: Reader) -> Path:
    """`root`, once it is known to be a folder whose entries can be listed.

    Raises:
        DataError: no root, or one that does not exist, is not a folder or may not be read.
    """
    if root is None:
        raise MissingDataError(
            f"{reader.title} needs its files, and no data folder is given. "
            f"{reader.how_to_get} {POINT_AT_IT}"
        )
    try:
        next(root.iterdir(), None)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DataError(
            f"the data folder '{root}' cannot be read: {reason}. {POINT_AT_IT}"
        ) from None
    return root


def is_there(path: Path) -> bool:
    """Whether `path` exists; a folder on the way that may not be entered is a DataError."""
    try:
        return path.exists()
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error.strerror}.") from None


def missing(reader: Reader, subset: Subset, looked: Iterable[Path]) -> MissingDataError:
    """The error for files that are nowhere: which, every place looked at, how to get them."""
    places = "".join(f"\n  {path}" for path in looked)
    return MissingDataError(
        f"{reader.title}: the {subset} images are not there. Looked for{places}\n"
        f"{reader.how_to_get} {POINT_AT_IT}"
    )
