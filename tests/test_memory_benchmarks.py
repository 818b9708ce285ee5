"""Benchmarks measure the memory of what they measure, not of the process that started it."""

import subprocess
import sys

from benchmarks.memory import peak_mb
from benchmarks.mining import in_process


def test_the_peak_is_that_of_the_process_itself() -> None:
    """It rises with what is held, and a process that a large one starts begins small."""
    before = peak_mb()
    held = bytearray(int((before + 300) * 2**20))
    held[:: 2**12] = b"1" * len(held[:: 2**12])  # each page, so that it is there
    assert peak_mb() > before + 250
    code = "from benchmarks.memory import peak_mb; print(peak_mb())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < before


def test_mining_is_measured_beside_a_large_process_too() -> None:
    """As in `make bench`, where other benchmarks ran before it in the process that starts it."""
    held = bytearray(2**30)
    held[:: 2**12] = b"1" * len(held[:: 2**12])
    blocks, whole = (in_process(way, 2_000, 6)["peak_mb"] for way in ("blocks", "whole_matrix"))
    assert 0 < blocks < whole
