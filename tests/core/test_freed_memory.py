"""What is freed stays with the process, and no result moves by it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FAULTS = """
import resource
import torch
from osr_core.freed_memory import freed_memory_kept

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        torch.zeros(10_000_000)  # 40 MB, 9,766 pages
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

torch.set_num_threads(1)
with freed_memory_kept():
    for _ in range(5):
        faults()  # the heap finds its size, in three rounds at most
    print(faults())
"""
AFTERWARDS = """
import resource
from pathlib import Path
import torch
from osr_core.freed_memory import freed_memory_kept

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

with freed_memory_kept():
    pass
before = resident()
blocks = [torch.zeros(10_000_000) for _ in range(10)]  # 400 MB
kept = resident() - before
del blocks
print(kept, resident() - before)
"""
FIT = """
import hashlib
import sys
sys.path.insert(0, "tests/contract")
import torch
from blobs import TRAINING, Blobs, Runs, shortened, trial
from osr_core.context import SCORES, WEIGHTS
from osr_core.data import READERS

torch.set_num_threads(1)
READERS["blobs"] = Blobs()
score = trial("cac", shortened(TRAINING, epochs=2, batch_size=64)).score
runs = Runs()
left = [runs.result(score).artifacts[SCORES], runs.result(score.inputs["model"]).artifacts[WEIGHTS]]
print(hashlib.sha256(b"".join(left)).hexdigest())
"""

pytestmark = pytest.mark.skipif(
    "CS_GNU_LIBC_VERSION" not in os.confstr_names, reason="this is not glibc"
)


def printed(script: str, **variables: str) -> str:
    """What a fresh process prints, whose allocator nothing has set before."""
    own = ("MALLOC_", "GLIBC_TUNABLES")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    command = [sys.executable, "-c", script]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=kept | variables, check=True
    )
    return done.stdout


def test_a_block_that_was_freed_is_not_faulted_in_again() -> None:
    """Without this each of five blocks of 40 MB costs 9,766 faults, or 20 of huge pages."""
    assert int(printed(FAULTS)) < 20


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MALLOC_TRIM_THRESHOLD_", "131072"),
        ("GLIBC_TUNABLES", "glibc.rtld.nns=4:glibc.malloc.trim_threshold=131072"),
    ],
)
def test_a_users_own_setting_of_glibc_wins(name: str, value: str) -> None:
    """On a machine with little memory blocks may be given back as before."""
    assert int(printed(FAULTS, **{name: value})) >= 100


def test_memory_goes_back_to_the_system_again_after_the_block() -> None:
    """A process that does other work after a stage would never shrink again."""
    held, left = map(int, printed(AFTERWARDS).split())
    assert held > 390e6
    assert left < 40e6


def test_no_bit_of_a_result_moves_by_where_its_memory_came_from() -> None:
    """Weights and scores of a trial are those of a process that keeps glibc's defaults."""
    assert printed(FIT) == printed(FIT, MALLOC_TRIM_THRESHOLD_="131072")
