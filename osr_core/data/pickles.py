"""Python pickles of arrays, as CIFAR is published, read without running anything they ask for.

A pickle may name any importable function to be called. Here it may name the three things that an
array is rebuilt with; numbers, text, bytes, lists, tuples and dicts need no name.
"""

import hashlib
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from osr_core.data.files import reading
from osr_core.errors import DataError


def _empty_array(*_: Any) -> np.ndarray[Any, Any]:
    """What numpy's `_reconstruct` makes; shape, type and content are filled in afterwards."""
    return np.ndarray(0, np.int8)


ALLOWED = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _empty_array,  # written by numpy 1
    ("numpy._core.multiarray", "_reconstruct"): _empty_array,  # written by numpy 2
}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in ALLOWED:
            return ALLOWED[module, name]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def read_arrays(path: Path, md5: str) -> Any:
    """The containers and arrays pickled in `path`; text of Python 2 is read as Latin-1.

    Raises:
        DataError: other bytes than those published, or a pickle that asks for more than arrays.
    """
    with reading(path) as file:
        content = file.read()
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise DataError(
            f"'{path}' is truncated or changed: its MD5 is {found}, that of the published file "
            f"{md5}. Extract the archive again."
        )
    try:
        return _ArraysOnly(io.BytesIO(content), encoding="latin1").load()
    except Exception as error:  # damaged pickles raise nearly anything
        raise DataError(f"'{path}' is not a pickle of arrays: {error}.") from error
