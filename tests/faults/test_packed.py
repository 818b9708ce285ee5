"""Fits that share a GPU, on pretended ones: the first is measured alone, and results stay equal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.harness import WAIT_S, Sweep, wait_until

SPEC = """\
name: faults
datasets: [digits]
splits: [0, 1, 2, 3, 4]
backbone: {width: 0.125}
training: {epochs: 20, batch_size: 32, warmup_epochs: 1, augmentation: {crop_padding: 1}}
resources: {pack: none, checkpoint_every_s: 3600}
methods: {softmax: {}}
"""
# In workers: pretends a GPU that this machine has not, of which a fit takes a third of the time and
# a fifth of the memory; notes what stages were given. A fit of split `full` runs out of memory
# while it shares it.
PRETENDED = """
import sys

if any("default_worker.py" in each for each in sys.orig_argv):
    import torch
    from sweeps.running import worker

    make, machine_facts = worker.make, worker.machine_facts

    def noted(stage_id, identities, workplace, store):
        kind, config = (identities[stage_id][name] for name in ("kind", "config"))
        split = config.get("task", {{}}).get("split")
        with open({begun!r}, "a") as begun:
            print(kind, workplace.gpus, split, file=begun)
        if kind == "fit" and split == {full} and workplace.gpus < 1:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return make(stage_id, identities, workplace, store)

    def pretended(device, gpus, wall_s, busy=None):
        alone = gpus == 1
        return {{
            **machine_facts(device, gpus, wall_s, busy),
            "device": "cuda",
            "hardware": "NVIDIA Pretended",
            "gpus": gpus,
            "gpu_s": gpus * wall_s,
            "gpu_busy": 0.31,
            "peak_gpu_memory_megabytes": 4000.0,
            "gpu_reserved_megabytes": 4600.0,
            "gpu_context_megabytes": 500.0 if alone else None,
            "gpu_total_megabytes": 24000.0,
        }}

    worker.make, worker.device_of = noted, lambda workplace: torch.device("cpu")
    worker.machine_facts = pretended
"""
HERE = ("--cpus", "4", "--gpus", "1")
TABLES = ("runs.parquet", "scores.parquet")

pytestmark = pytest.mark.faults


@contextmanager
def pretended(folder: Path, spec: str, full: int | None = None) -> Iterator[Sweep]:
    """A sweep with a GPU that is none; nothing of it outlives the block."""
    sweep = Sweep(folder / "home", spec)
    sweep.with_code(PRETENDED.format(begun=str(folder / "begun.txt"), full=full))
    try:
        yield sweep
    finally:
        sweep.end()


def fits(folder: Path) -> list[tuple[float, int]]:
    """The part of a GPU and the split of each attempt at a fit so far, as they began."""
    lines = [line.split() for line in (folder / "begun.txt").read_text().splitlines()]
    return [(float(gpus), int(split)) for kind, gpus, split in lines if kind == "fit"]


def results(sweep: Sweep) -> list[object]:
    """The bytes of its tables, and the checksums of what its fits have left for other stages."""
    done = sweep.osr("export", "faults")
    assert done.returncode == 0, done.stderr
    weights = {
        stage_id: {name: each for name, each in commit["artifacts"].items() if "weights" in name}
        for stage_id, commit in sweep.commits.items()
    }
    assert sum(map(bool, weights.values())) == 5
    return [weights, *map(sweep.export, TABLES)]


@pytest.fixture(scope="module")
def whole(made_once: Callable[..., Path]) -> list[object]:
    """What the sweep leaves where nothing shares a GPU."""

    def make(folder: Path) -> None:
        with pretended(folder, SPEC) as sweep:
            done = sweep.finish(*HERE)
        assert done.returncode == 0, done.stdout + done.stderr

    folder = made_once("whole", make)
    assert {gpus for gpus, _ in fits(folder)} == {1.0}
    return results(Sweep(folder / "home", SPEC))


def test_the_first_fit_runs_alone_and_three_at_a_time_share_its_gpu(
    tmp_path: Path, whole: list[object]
):
    """What they leave is what they leave without company, to the byte."""
    with pretended(tmp_path, SPEC.replace("pack: none", "pack: auto")) as sweep:
        sweep.linger()
        driver = sweep.start(*HERE)
        wait_until(lambda: len(sweep.under_way) == 1, "the first fit")
        assert [gpus for gpus, _ in fits(tmp_path)] == [1.0]
        sweep.hurry()
        wait_until(lambda: sweep.commits, "the first fit to end")
        sweep.sign.touch()
        wait_until(lambda: len(sweep.under_way) == 3, "three fits at once")
        assert [gpus for gpus, _ in fits(tmp_path)] == [1.0, *[0.3333] * 3]
        sweep.hurry()
        assert driver.wait(WAIT_S) == 0, sweep.log
    assert [gpus for gpus, _ in fits(tmp_path)] == [1.0, *[0.3333] * 4]
    shared = "3 share a GPU, since they take 5.1 of 24.0 GB and 31% of the time each"
    assert sweep.log.count("share a GPU") == sweep.log.count(shared) == 1
    assert results(sweep) == whole


def test_a_fit_that_runs_out_of_memory_gets_twice_its_part_and_then_a_whole_gpu(
    tmp_path: Path, whole: list[object]
):
    """The others share on; its result is as ever."""
    with pretended(tmp_path, SPEC.replace("pack: none", "pack: auto"), full=2) as sweep:
        done = sweep.finish(*HERE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [gpus for gpus, split in fits(tmp_path) if split == 2] == [0.3333, 0.6666, 1.0]
    assert sorted(gpus for gpus, split in fits(tmp_path) if split != 2) == [*[0.3333] * 3, 1.0]
    assert sweep.retries == ["CUDA out of memory beside its like", "CUDA out of memory"]
    assert results(sweep) == whole
