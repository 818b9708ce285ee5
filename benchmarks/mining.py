"""Seconds and memory of PMAL's robustness in blocks, and of whole matrices by torch.cdist.

Two members' logits for 6 classes, as on CIFAR-10, and for 128. Each measurement has a process of
its own, whose peak memory is what it adds to the inputs: resident memory on a CPU, allocated
memory on a GPU. Whole matrices of more than 5,000 images are not made: 20,000 take 12 GB.
"""

import json
import subprocess
import sys
import time
from typing import Any

import torch
from torch import Tensor

from osr_core.machine import peak_memory_megabytes
from osr_core.methods.pmal.topology import log_robustness, median_scaled

ROUNDS = 3  # the fastest counts


def measure() -> list[dict[str, Any]]:
    """One row per way, number of images and classes; then what four times the images cost."""
    rows = []
    for classes in (6, 128):
        ours, whole, more = (
            in_process(way, num, classes)
            for way, num in (("blocks", 5_000), ("whole_matrix", 5_000), ("blocks", 20_000))
        )
        rows += [ours, whole, more]
        rows.append(
            {
                "classes": classes,
                "times_faster": round(whole["seconds"] / ours["seconds"], 2),
                "times_less_memory": round(whole["peak_mb"] / ours["peak_mb"], 1),
                "seconds_at_4_times_the_images": round(more["seconds"] / ours["seconds"], 1),
                "memory_at_4_times_the_images": round(more["peak_mb"] / ours["peak_mb"], 1),
            }
        )
    for row in rows:
        print("   " + "  ".join(f"{key} {value}" for key, value in row.items()))
    return rows


def in_process(way: str, num_images: int, classes: int) -> dict[str, Any]:
    """What `here` measures, in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.mining", way, str(num_images), str(classes)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    row: dict[str, Any] = json.loads(done.stdout)
    return row


def here(way: str, num_images: int, classes: int) -> dict[str, Any]:
    """Seconds and peak memory of one way, in this process."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    shape, generator = (num_images, classes), torch.Generator().manual_seed(0)
    members = [torch.randn(shape, generator=generator).double().to(device) for _ in range(2)]
    mined = {"blocks": in_blocks, "whole_matrix": by_whole_matrices}[way]
    mined([member[:1000] for member in members])  # libraries load before memory is measured
    before, seconds = peak(device), []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        float(mined(members).sum())  # waits for a GPU
        seconds.append(time.perf_counter() - start)
    row = {"way": way, "images": num_images, "classes": classes}
    added = round(peak(device) - before, 1)
    return {**row, "seconds": round(min(seconds), 3), "peak_mb": added}


def peak(device: str) -> float:
    """The most memory that this process has used so far, in 1e6 bytes."""
    return torch.cuda.max_memory_allocated() / 1e6 if device == "cuda" else peak_memory_megabytes()


def in_blocks(members: list[Tensor]) -> Tensor:
    """(N,) log r as PMAL's mining takes it."""
    return log_robustness(members, "median")


def by_whole_matrices(members: list[Tensor]) -> Tensor:
    """(N,) log r as the paper's equations read."""
    first, second = (torch.cdist(points, points) for points in members)
    differences = first / first.mean() - second / second.mean()
    return -median_scaled(differences.square().mean(1).sqrt()[None])[0]


if __name__ == "__main__":
    print(json.dumps(here(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
