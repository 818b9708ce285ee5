"""Images per second of several fits that share a machine: on a GPU 1, 2, 5 and 10 on one card.

Each fit is a process of its own, as fits under Ray are, and trains CAC's network at full width on
images in memory; all are ready before any begins. Without a GPU one fit and two, a thread each, at
a quarter of the width. On a GPU all is measured as it is, and by CUDA graphs.
"""

import subprocess
import sys
import time
from contextlib import ExitStack
from typing import Any

import torch

from benchmarks.peaks import of_peak
from benchmarks.training_loop import CHANNELS, made_up_images, network, our_fit
from osr_core.freed_memory import freed_memory_kept

SECONDS = 10.0


def measure() -> list[dict[str, Any]]:
    """One row per number of fits; on a GPU with and without graphs."""
    gpu = torch.cuda.is_available()
    width = 1.0 if gpu else 0.25
    rows: list[dict[str, Any]] = []
    for graphs in (False, True) if gpu else (False,):
        for fits in (1, 2, 5, 10) if gpu else (1, 2):
            rate = together(fits, width, 5_000 if gpu else 640, graphs=graphs)
            one = rows[0]["images_per_s"] if rows else rate
            row = {"fits": fits, "images_per_s": round(rate), "times_one": round(rate / one, 2)}
            row |= {"graphs": graphs} if gpu else {}
            rows.append({**row, "width": width, **of_peak(rate, network(width, CHANNELS))})
            print("   " + "  ".join(f"{key} {value}" for key, value in rows[-1].items()))
    return rows


def together(
    fits: int, width: float, count: int, seconds: float = SECONDS, *, graphs: bool = False
) -> float:
    """Images per second of all of so many fits, which train `count` images for so long."""
    given = map(str, (width, count, seconds, int(graphs)))
    command = [sys.executable, "-m", "benchmarks.full_card", *given]
    pipe = subprocess.PIPE
    with ExitStack() as stack:  # none trains on when one has failed
        processes = []
        for _ in range(fits):
            process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
            processes.append(stack.enter_context(process))
            stack.callback(process.kill)
        if not all(map(is_ready, processes)):
            raise RuntimeError(f"one of {fits} fits did not begin; it says why above")
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        return sum(float(process.communicate()[0]) for process in processes)


def is_ready(process: "subprocess.Popen[str]") -> bool:
    """Wait until a fit has warmed up; False where it has ended instead."""
    assert process.stdout is not None
    return process.stdout.readline() == "ready\n"


def here(width: float, count: int, seconds: float, graphs: bool) -> None:
    """Warm up, wait for a line, train for so long and print images per second."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(1)
    with freed_memory_kept():
        images, labels = made_up_images(count, CHANNELS)
        epoch = our_fit("cac", images, labels, width, graphs=graphs).one_epoch
        epoch()
        print("ready", flush=True)
        sys.stdin.readline()
        began, epochs = time.perf_counter(), 0
        while time.perf_counter() < began + seconds:
            epoch()
            epochs += 1
        if device == "cuda":
            torch.cuda.synchronize()
    print(epochs * count / (time.perf_counter() - began))


if __name__ == "__main__":
    here(float(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4] == "1")
