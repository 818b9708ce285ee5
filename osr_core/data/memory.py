"""What was found in files, remembered on this machine: a million images are hashed once.

A file counts as the same for as long as its size, its times of change and its inode stay; each call
looks at these, so that a process that lives on sees what changes. A file that has just been changed
may change again before its times do: it is remembered once it has rested. Forget it all with
`osr plan --rehash` where a file system does not keep these.

    OSR_CACHE/hashes/HASH.json     of one folder: by file name, its state and what was found
"""

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from osr_core.data.cache import cache_folder
from osr_core.identity import digest

RESTED_S = 2.0  # the coarsest times of change, those of FAT, go by two seconds
CHANGED = 2  # where a state has the time of the last change, which no program can set
THREADS = 8  # hashing runs outside Python's lock


def remembered(
    folder: Path, names: Iterable[str], what: str, find: Callable[[Path], Any]
) -> dict[str, Any]:
    """By name, what `find` gives for each file of `folder`; it is asked for new and changed ones.

    Args:
        folder: where the files lie.
        names: of the files, in the order of the answer.
        what: names what is found; files that are asked for two things have two entries.
        find: gives something that JSON can hold.

    Raises:
        OSError: a file is not there.
        Exception: whatever `find` raises.
    """
    folder = folder.absolute()
    path = cache_folder() / "hashes" / f"{digest([str(folder), what])}.json"
    known = _read(path)
    since = (time.time() - RESTED_S) * 1e9
    states = {name: _state(f"{folder}/{name}") for name in names}
    old = {name for name, state in states.items() if known.get(name, [])[:-1] == state}
    new = [name for name in states if name not in old]
    with ThreadPoolExecutor(THREADS) as pool:
        found = dict(zip(new, pool.map(lambda name: find(folder / name), new), strict=True))
    rested = {n: [*states[n], each] for n, each in found.items() if states[n][CHANGED] < since}
    if rested:
        _write(path, {"folder": str(folder), "what": what, "files": known | rested})
    return {name: found[name] if name in found else known[name][-1] for name in states}


def forget() -> None:
    """Look into every file again."""
    shutil.rmtree(cache_folder() / "hashes", ignore_errors=True)


def _state(path: str) -> list[int]:
    status = os.stat(path)  # noqa: PTH116 - a Path for each of a million files takes as long again
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _read(path: Path) -> dict[str, list[Any]]:
    try:
        files = json.loads(path.read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, LookupError, TypeError):
        return {}
    return files if isinstance(files, dict) else {}


def _write(path: Path, content: Any) -> None:
    """Replace the entry at once; where that fails, the files are hashed again next time."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
            json.dump(content, file)
        Path(file.name).replace(path)
