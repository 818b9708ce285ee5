"""IDX files, the format of MNIST: a header with the shape, then one byte per value.

The header:

    0x00 0x00, type (0x08 = unsigned byte), number of dimensions n, n sizes as big-endian uint32
"""

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from osr_core.data.files import reading, unpacked
from osr_core.errors import DataError

UNSIGNED_BYTE = 0x08


def read_idx(path: Path, dimensions: int) -> npt.NDArray[np.uint8]:
    """The array of an IDX file of unsigned bytes, plain or gzip-compressed (by its ending).

    Raises:
        DataError: not such a file (wrong magic number), or not the length that its header promises.
    """
    content = _content(path)
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise DataError(f"'{path}' is truncated: it ends within its header. Fetch it again.")
    magic = bytes([0, 0, UNSIGNED_BYTE, dimensions])
    if content[:4] != magic:
        raise DataError(
            f"'{path}' begins with 0x{content[:4].hex()}, but an IDX file of {dimensions}-"
            f"dimensional bytes begins with 0x{magic.hex()}. Is it the right file?"
        )
    shape = [int(size) for size in np.frombuffer(content, ">u4", dimensions, offset=4)]
    held, promised = len(content) - start, math.prod(shape)
    if held != promised:
        wrong = "is truncated" if held < promised else "is too long"
        raise DataError(
            f"'{path}' {wrong}: its header promises {' x '.join(map(str, shape))} = {promised} "
            f"bytes, it holds {held}. Fetch it again."
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _content(path: Path) -> bytes:
    with reading(path) as file, unpacked(file, path) as plain:
        return plain.read()
