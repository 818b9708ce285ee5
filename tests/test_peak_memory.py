"""The memory that is measured is that of the process itself, not of the one that started it."""

import json
import subprocess
import sys
from typing import Any

LARGE = """
import json, subprocess, sys
from benchmarks.mining import in_process
from osr_core.machine import peak_memory_megabytes

def hold(megabytes):
    held = bytearray(megabytes * 10**6)
    held[:: 2**12] = b"1" * len(held[:: 2**12])  # each page, so that it is there
    return held
"""


def printed(code: str) -> Any:
    """The JSON that a process prints which can hold much memory."""
    done = subprocess.run(
        [sys.executable, "-c", LARGE + code], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_the_peak_is_that_of_the_process_itself() -> None:
    """It rises with what is held, and a process that a large one starts begins small."""
    before, after, other = printed(
        "numbers = [peak_memory_megabytes()]\n"
        "held = hold(400)\n"
        "numbers += [peak_memory_megabytes()]\n"
        "code = 'from osr_core.machine import *; print(peak_memory_megabytes())'\n"
        "numbers += [float(subprocess.check_output([sys.executable, '-c', code]))]\n"
        "print(json.dumps(numbers))"
    )
    assert after > before + 350
    assert other < after - 200


def test_mining_is_measured_beside_a_large_process_too() -> None:
    """As in `make bench`, where other benchmarks ran before it in the process that starts it."""
    blocks, whole = printed(
        "held = hold(1000)\n"
        "ways = 'blocks', 'whole_matrix'\n"
        "print(json.dumps([in_process(way, 2_000, 6)['peak_mb'] for way in ways]))"
    )
    assert 0 < blocks < whole
