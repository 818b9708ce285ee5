"""The data of a command on this machine; of a data root in a bucket, they are taken at first."""

import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from osr_core.data import benchmark
from osr_core.data.base import Reader
from osr_core.errors import MissingDataError
from sweeps.store.address import DATA, bucket_of
from sweeps.store.data_root import folder_of

log = logging.getLogger(__name__)


def data_folder(
    data_root: str | Path | None,
    readers: Iterable[Reader],
    tell: Callable[[str], object] = log.info,
) -> Path | None:
    """The folder with the data of some readers; nothing is taken for what comes with a library.

    Args:
        data_root: a folder, or one in a bucket, s3://bucket/folder.
        readers: what is to be read.
        tell: hears what is taken from a bucket.

    Raises:
        ConfigError: an address that cannot be a bucket's, or nobody answers there.
        DataError: the bucket has nothing there, may not be read, or there is no room for its files.
    """
    address = bucket_of(data_root)
    if address is not None:
        if all(map(_comes_with_a_library, readers)):
            return None
        address.check_answers(DATA)
    return folder_of(data_root, tell)


def readers_of(datasets: Iterable[str]) -> Iterator[Reader]:
    """Those of the data sets that a spec names."""
    for name in datasets:
        pair = benchmark(name)
        yield from (pair.known, pair.unknown)


def _comes_with_a_library(reader: Reader) -> bool:
    try:
        return not reader.files(None, "test")
    except MissingDataError:
        return False
