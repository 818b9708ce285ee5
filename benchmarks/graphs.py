"""Every learner's steps as they are and by CUDA graphs: whether it can, how fast, how far apart.

Two fits of one identity are apart by the length of the difference of their weights, over that of
the way which the first's have come. The same fit as it is, made twice, tells what of this the
card's kernels do, which are asked to be deterministic here.

A capture that fails may leave CUDA in a bad state, and so the next learner begins a new process.
"""

import json
import statistics
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks.training_loop import CHANNELS, made_up_images, our_fit
from osr_core.recipes import Training

LEARNERS = (
    *("softmax", "cac", "arpl", "pmal", "center", "cpn", "rpl", "rplpp", "arpl_cs", "proser"),
    *("crosr", "c2ae", "cgdl", "openhybrid", "cssr", "medaf", "osrci", "gan"),
)
COUNT = 5_140  # images: forty batches and a small one
TRAINING = Training(epochs=4, lr=1e-3)  # every rate another; the first epoch warms up


class Trained(NamedTuple):
    """What came of a fit."""

    start: Tensor  # (P,) all weights
    end: Tensor
    images_per_s: float
    is_static: bool


def measure() -> list[dict[str, Any]]:
    """One row for each learner."""
    rows: list[dict[str, Any]] = []
    while left := LEARNERS[len(rows) :]:
        command = [sys.executable, "-m", "benchmarks.graphs", *left]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        if len(found) < len(left) and (done.returncode or not found):
            said = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
            found.append({"method": left[len(found)], "failed": said[-1]})
        for row in found:
            print("   " + "  ".join(f"{key} {value}" for key, value in row.items()))
        rows += found
    return rows


def here(names: Sequence[str]) -> None:
    """Print a row for each learner, up to the first that has no graph."""
    torch.backends.cudnn.deterministic = True
    for name in names:
        row = compare(name, COUNT, 1.0)
        print(json.dumps(row), flush=True)
        if "failed" in row:
            break


def compare(name: str, count: int, width: float) -> dict[str, Any]:
    """Images a second both ways, and how far apart they end; or why it has no graph."""
    eager, again = (trained(name, count, width, graphs=False) for _ in range(2))
    row: dict[str, Any] = {"method": name, "eager_per_s": round(eager.images_per_s)}
    row |= {"eager_apart": apart(eager, again)}
    if not eager.is_static:
        return {**row, "failed": "its steps are not all alike"}
    try:
        graphed = trained(name, count, width, graphs=True)
    except RuntimeError as error:  # CUDA's, of what cannot be captured
        return {**row, "failed": words_of(error)}
    row |= {"graphed_per_s": round(graphed.images_per_s)}
    row |= {"ratio": round(graphed.images_per_s / eager.images_per_s, 2)}
    return {**row, "graphed_apart": apart(eager, graphed)}


def words_of(error: BaseException) -> str:
    """What went wrong first, and where: the end of a capture that failed says only that it did."""
    while error.__context__ is not None:
        error = error.__context__
    frames = traceback.extract_tb(error.__traceback__)
    place = next((each for each in reversed(frames) if "osr_core" in each.filename), frames[-1])
    first = (str(error) or type(error).__name__).splitlines()[0]
    return f"{first} ({Path(place.filename).name}:{place.lineno})"


def trained(name: str, count: int, width: float, *, graphs: bool) -> Trained:
    """A fit that is always the same; its rate is the median of all epochs but the first."""
    torch.manual_seed(0)
    fit = our_fit(name, *made_up_images(count, CHANNELS), width, graphs=graphs, training=TRAINING)
    start, seconds = weights(fit.method), []
    for epoch in range(TRAINING.epochs):
        fit.progress.epoch = epoch
        began = time.perf_counter()
        fit.one_epoch()  # it ends by reading the means of its terms
        seconds.append(time.perf_counter() - began)
    rate = count / statistics.median(seconds[1:])
    return Trained(start, weights(fit.method), rate, fit.method.static_step)


def weights(network: torch.nn.Module) -> Tensor:
    """(P,) all parameters, in float64."""
    return torch.cat([each.detach().flatten().double() for each in network.parameters()])


def apart(first: Trained, second: Trained) -> float:
    """0 where the weights are equal, bit for bit."""
    return float((first.end - second.end).norm() / (first.end - first.start).norm())


if __name__ == "__main__":
    here(sys.argv[1:])
