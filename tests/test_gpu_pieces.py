"""`make gpu` without a GPU: its pieces, in a process that cannot import the orchestration."""

import json
import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean, stdev

import pytest
import torch

from benchmarks import full_card, gpu, training_loop
from benchmarks.peaks import of_peak
from osr_core.batch.__main__ import FAILED, TIME_SPENT
from osr_core.results.commit import Commit
from osr_core.results.layout import marker_of
from tests.sweeps.alone import ALONE, ended, planned, started
from tests.sweeps.command import call_osr

PIECES = ALONE.replace(
    'runpy.run_module("osr_core.batch", run_name="__main__")',
    "from benchmarks import gpu\ngpu.MEASUREMENTS = ()\nsys.exit(gpu.main(sys.argv[5:]))",
)

SPEC = """
name: brief
datasets: [digits]
splits: [0, 1]
backbone: {width: 0.1}
training: {epochs: 1}
methods: {softmax: {}, openmax: {}, cac: {}}
"""


def in_pieces(folder: Path, minutes: float) -> tuple[int, str]:
    """One call of `make gpu` for the plans in a folder."""
    given = ("--folder", str(folder), "--minutes", str(minutes))
    return ended(started(Path("-"), Path("-"), "-", *given, script=PIECES))


def test_the_table_is_that_of_the_results_and_grows(tmp_path: Path):
    """Nothing at first, all at last; the means are those that `osr table` prints after a merge."""
    (folder := tmp_path / "gpu").mkdir()
    (tmp_path / "brief.yaml").write_text(SPEC)
    plan = planned(tmp_path / "brief.yaml", tmp_path).rename(folder / "plan.json")
    code, printed = in_pieces(folder, minutes=0)
    assert code == TIME_SPENT, printed
    record = json.loads(plan.read_text())["record"]
    titles = [trial["title"] for trial in record["trials"]]
    for title in titles:
        assert f"| {title} | 0 of {titles.count(title)} |  |  |  |" in printed
    code, printed = in_pieces(folder, minutes=30)
    assert code == 0, printed
    assert "all is done" in printed
    merged = call_osr("merge", folder / "results", home=tmp_path / "home")
    assert merged.returncode == 0, merged.stderr
    found = defaultdict(list)
    for trial in record["trials"]:
        marker = tmp_path / "home/store" / marker_of(trial["trial_id"])
        found[trial["title"]].append(Commit.decode(marker.read_bytes()).metrics)
    for title, metrics in found.items():
        cells = []
        for name in ("accuracy", "auroc", "oscr"):
            values = [100 * each[f"test/{name}"] for each in metrics]
            cells.append(f"{mean(values):.1f} ± {stdev(values):.1f}")
        assert f"| {title} | {len(metrics)} of {len(metrics)} | {' | '.join(cells)} |" in printed


def test_a_failed_stage_holds_up_its_own_plan_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The other runs; the code says that something has failed."""
    begun: list[str] = []

    def main(given: list[str]) -> int:
        begun.append(given[0])
        return FAILED if len(begun) == 1 else 0

    monkeypatch.setattr(gpu.batch, "main", main)
    plans = [tmp_path / "a.json", tmp_path / "b.json"]
    assert gpu.run(plans, tmp_path, ends_at=sys.float_info.max) == FAILED
    assert begun == [str(plan) for plan in plans]


def test_a_measurement_is_made_once_and_only_where_there_is_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The next call has the minutes that this one lacked; without a GPU there are no graphs."""
    made: list[str] = []
    here = ["training_loop", "full_card"]

    def make(names: list[str]) -> None:
        made.extend(names)
        (tmp_path / f"{names[0]}-cpu.json").touch()

    monkeypatch.setattr(gpu.benchmarks, "run", make)
    monkeypatch.setattr(gpu.benchmarks, "RESULTS", tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert (gpu.measured(tmp_path, ends_at=0.0), made) == (TIME_SPENT, [])
    assert (gpu.measured(tmp_path, ends_at=sys.float_info.max), made) == (0, here)
    assert (gpu.measured(tmp_path, ends_at=0.0), made) == (0, here)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert gpu.missing(tmp_path) == ["graphs", *here]


def test_a_measurement_that_fails_does_not_hold_up_the_sweeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Its words are kept, and it is made again once they are deleted."""
    made: list[str] = []

    def fail(names: list[str]) -> None:
        made.extend(names)
        raise RuntimeError("one of 10 fits did not begin")

    (folder := tmp_path / "gpu").mkdir()
    (folder / "plan.json").write_text('{"record": {"sweep": "s", "code": "c", "trials": []}}')
    monkeypatch.setattr(gpu.benchmarks, "run", fail)
    monkeypatch.setattr(gpu.benchmarks, "RESULTS", tmp_path)
    monkeypatch.setattr(gpu.batch, "main", lambda given: 0)
    call = ["--folder", str(folder), "--minutes", "60"]
    codes = [gpu.main(call), gpu.main(call)]
    assert (codes, made) == ([FAILED] * 2, ["training_loop", "full_card"])
    assert "full_card-failed.txt; delete that file" in capsys.readouterr().out
    (words,) = folder.glob("full_card-*")
    assert "one of 10 fits did not begin" in words.read_text()
    words.unlink()
    assert (gpu.main(call), made[2:]) == (FAILED, ["full_card"])


@pytest.mark.parametrize("name", training_loop.ON_A_GPU)
def test_both_loops_train_every_method(name: str, monkeypatch: pytest.MonkeyPatch):
    """Each moves every weight of its network."""
    images, labels = training_loop.made_up_images(8, 3)
    monkeypatch.setattr(training_loop, "BATCH", 4)
    learners = []
    make = training_loop.learner

    def kept(*given: object) -> object:
        learners.append(make(*given))  # type: ignore[arg-type]
        return learners[-1]

    monkeypatch.setattr(training_loop, "learner", kept)
    loops = (
        lambda: training_loop.our_fit(name, images, labels, 0.125).one_epoch,
        lambda: training_loop.plain_epoch(name, images, labels, 0.125, "cpu", workers=0),
    )
    for loop in loops:
        epoch = loop()
        weights = [*learners[-1].backbone.parameters()]
        before = [weight.detach().clone() for weight in weights]
        epoch()
        assert not any(torch.equal(a, b) for a, b in zip(before, weights, strict=True))


def test_fits_that_share_a_machine_are_all_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A real one has a rate; of three that say theirs the sum is taken."""
    assert full_card.together(1, width=0.1, count=128, seconds=0.1) > 0
    said = tmp_path / "said"
    said.write_text("#!/bin/sh\necho ready\nread go\necho 21.5\n")
    said.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(said))
    assert full_card.together(3, width=0.1, count=128) == 64.5
    said.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(RuntimeError, match="one of 3 fits did not begin"):
        full_card.together(3, width=0.1, count=128)


def test_share_of_the_peak_is_of_the_card_that_is_there(monkeypatch: pytest.MonkeyPatch):
    """The full network takes 0.33 GFLOP forward: 100,000 images a second are a tenth of an H100."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "NVIDIA H100 80GB HBM3")
    rate = of_peak(100_000, training_loop.network(1.0, 3))
    assert rate["tflops"] == pytest.approx(100_000 * 3 * 0.33e9 / 1e12, rel=0.01)
    assert rate["share_of_peak"] == pytest.approx(rate["tflops"] / 989.4, abs=1e-4)
    for name in ("NVIDIA L40S", "NVIDIA H100 PCIe", "a card of tomorrow"):
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda index, name=name: name)
        assert of_peak(100_000, training_loop.network(1.0, 3)) == {"tflops": rate["tflops"]}
