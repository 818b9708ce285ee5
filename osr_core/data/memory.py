"""What was found in files, remembered on this machine: a million images are hashed once.

A file counts as the same for as long as its size, its times of change and its inode stay. Forget it
all with `osr plan --rehash` where a file system does not keep these.

    OSR_CACHE/hashes/HASH.json     of one folder: by file name, its state and what was found
"""

import contextlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from osr_core.data.cache import cache_folder
from osr_core.identity import digest

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
    states = {name: _state(folder / name) for name in names}
    old = {name for name, state in states.items() if known.get(name, [])[:-1] == state}
    new = [name for name in states if name not in old]
    with ThreadPoolExecutor(THREADS) as pool:
        found = pool.map(lambda name: find(folder / name), new)
        known |= {name: [*states[name], each] for name, each in zip(new, found, strict=True)}
    if new:
        _write(path, {"folder": str(folder), "what": what, "files": known})
    return {name: known[name][-1] for name in states}


def forget() -> None:
    """Look into every file again."""
    shutil.rmtree(cache_folder() / "hashes", ignore_errors=True)


def _state(path: Path) -> list[int]:
    status = path.stat()
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
