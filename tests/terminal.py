"""What a terminal of some width shows of what a command prints, as text."""

import fcntl
import os
import pty
import re
import struct
import termios
import threading
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

PICTURES = Path(__file__).parent / "golden" / "terminal"
REMAKE = "REMAKE_PICTURES"  # a variable: set it to write what is shown instead of comparing
CODES = re.compile(r"(\r?\n|\r|\x1b\[[0-9;?]*[A-Za-z])")


def shown(show: Callable[[], None], columns: int, **environment: str) -> str:
    """All that comes to a terminal of so many columns while `show` runs, codes included."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    parts: list[bytes] = []
    reader = threading.Thread(target=_read, args=(ours, parts))
    reader.start()
    about = {"COLUMNS": str(columns), "LINES": "50", "TERM": "xterm-256color", **environment}
    with (
        mock.patch.dict(os.environ, about),
        os.fdopen(its, "w", encoding="utf-8") as terminal,
        redirect_stdout(terminal),
        redirect_stderr(terminal),
    ):
        show()
    reader.join()
    os.close(ours)
    return b"".join(parts).decode().replace("\r\n", "\n")


def screen(text: str) -> list[str]:
    """The lines that stay: what is drawn over with "cursor up" and "erase line" is gone."""
    lines = [""]
    for part in CODES.split(text):
        if part in ("\n", "\r\n"):
            lines.append("")
        elif part.endswith("A") and part.startswith("\x1b["):
            del lines[-int(part[2:-1] or 1) :]
        elif part == "\x1b[2K":
            lines[-1] = ""
        elif part != "\r" and not part.startswith("\x1b"):
            lines[-1] += part
    return [line.rstrip() for line in lines]


def check_picture(name: str, columns: int, text: str) -> None:
    """Compare with the stored picture; no line may be longer than the terminal is wide.

    Where pictures are meant to change: REMAKE_PICTURES=1 with the same test, then look at them.
    """
    text = "\n".join(screen(text))
    assert max(map(len, text.splitlines())) <= columns, text
    path = PICTURES / f"{name}-{columns}.txt"
    if os.environ.get(REMAKE):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def _read(end: int, parts: list[bytes]) -> None:
    """Until the other end is closed, which Linux tells as an error."""
    while True:
        try:
            parts.append(os.read(end, 1 << 16))
        except OSError:
            return
