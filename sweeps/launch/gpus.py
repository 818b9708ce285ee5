"""How much of this machine's GPU memory is in use, while a sweep runs here."""

import shutil
import subprocess
import threading
from contextlib import suppress

PROGRAM = "nvidia-smi"
ASKED = ("--query-gpu=index,memory.used,memory.total", "--format=csv,noheader,nounits")
EVERY_S, PATIENCE_S = 5.0, 10.0
GIBIBYTE = 1024  # mebibytes


class GpuMemory:
    """Asked in a thread, so that a slow driver holds up nothing; silent where there is no GPU."""

    def __init__(self) -> None:
        self.line = ""
        self._ended = threading.Event()

    def start(self) -> None:
        """Ask every few seconds from now on, if there is what tells it."""
        if shutil.which(PROGRAM):
            threading.Thread(target=self._loop, name="gpus", daemon=True).start()

    def end(self) -> None:
        """Ask no more."""
        self._ended.set()

    def _loop(self) -> None:
        while not self._ended.is_set():
            with suppress(OSError, subprocess.SubprocessError):
                done = subprocess.run(
                    [PROGRAM, *ASKED],
                    capture_output=True,
                    text=True,
                    timeout=PATIENCE_S,
                    check=True,
                )
                self.line = in_words(done.stdout)
            self._ended.wait(EVERY_S)


def in_words(told: str) -> str:
    """The program's lines for people: "0: 12.3 of 79.6 GiB"; one without numbers is left out."""
    found = []
    for line in told.splitlines():
        with suppress(ValueError):
            index, used, total = line.split(", ")
            shown = f"{float(used) / GIBIBYTE:.1f} of {float(total) / GIBIBYTE:.1f} GiB"
            found.append(f"{index}: {shown}")
    return ", ".join(found)
