"""Where Ray keeps the sockets and logs of a cluster that is started here."""

import os
from collections.abc import Mapping
from pathlib import Path

from osr_core.errors import ConfigError

# A socket's path has 107 bytes at most; Ray puts "/session_2026-11-26_05-14-28_123456_1234567" and
# "/sockets/plasma_store" behind its folder's.
LONGEST = 40
PLACES = (Path("/tmp"), Path("/var/tmp"))


def session_folder(
    environment: Mapping[str, str] = os.environ, places: tuple[Path, ...] = PLACES
) -> Path:
    """A folder that is short enough and ours: Ray's own choice, or one beside it.

    Raises:
        ConfigError: there is none.
    """
    asked = [environment[name] for name in ("RAY_TMPDIR", "TMPDIR") if environment.get(name)]
    folders = [Path(place) / "ray" for place in asked[:1]]
    folders += [place / name for place in places for name in ("ray", f"ray-{os.geteuid()}")]
    why = {folder: _unfit(folder) for folder in folders}
    for folder, reason in why.items():
        if reason is None:
            return folder
    told = "; ".join(f"{folder} {reason}" for folder, reason in why.items())
    raise ConfigError(
        f"Ray finds no folder for its sockets: {told}. Set RAY_TMPDIR to a folder of yours on this "
        f"machine with at most {LONGEST - len('/ray')} characters in its path."
    )


def _unfit(folder: Path) -> str | None:
    """Why Ray cannot work in a folder; None: it can."""
    if not folder.is_absolute() or len(os.fsencode(folder)) > LONGEST:
        return f"is no absolute path of at most {LONGEST} bytes"
    try:
        if os.path.lexists(folder):  # a link to nowhere is there too: no folder can be made of it
            is_own = folder.is_dir() and folder.stat().st_uid == os.geteuid()
            return None if is_own and os.access(folder, os.W_OK | os.X_OK) else "is somebody else's"
        is_room = folder.parent.is_dir() and os.access(folder.parent, os.W_OK | os.X_OK)
    except OSError as error:
        return f"cannot be looked at ({error.strerror})"
    return None if is_room else "cannot be made"
