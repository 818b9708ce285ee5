"""What a batch has freed stays with the process for the next one.

glibc gives each large block back to the system when it is freed, and the next batch's is faulted in
again, page by page: a third of the time of scoring on a CPU. With mallopt(3), which works in a
process that has begun, blocks come from the heap instead, and the heap does not shrink.
"""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of malloc.h
DEFAULTS = {M_TRIM_THRESHOLD: 128 * 1024, M_MMAP_MAX: 65_536}  # of mallopt(3): bytes, blocks


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """What is freed in a block is kept until its end; where another libc is, nothing changes.

    A user's own settings of glibc win. One block does not lie within another.
    """
    libc = _glibc()
    if libc is None or _is_set_by_user():
        yield
        return
    libc.mallopt(M_MMAP_MAX, 0)
    libc.mallopt(M_TRIM_THRESHOLD, -1)
    try:
        yield
    finally:
        for parameter, default in DEFAULTS.items():
            libc.mallopt(parameter, default)
        libc.malloc_trim(0)


def _glibc() -> Any | None:
    """The functions of this process's glibc, if that is what it runs on."""
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim") else None


def _is_set_by_user() -> bool:
    """Whether a variable of the environment sets glibc's allocator, in the old way or the new."""
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    return "glibc.malloc." in tunables or any(name.startswith("MALLOC_") for name in os.environ)
