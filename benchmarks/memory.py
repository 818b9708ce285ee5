"""How much memory a process has held."""

from pathlib import Path


def peak_mb() -> float:
    """The most resident memory of this process so far, in MiB, as Linux counts it (VmHWM).

    `ru_maxrss` begins with what the process had that started this one, so it may not rise at all.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**10
