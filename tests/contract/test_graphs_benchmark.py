"""What `make gpu` measures of graphs, with the stand-in for them."""

import json
import sys
from pathlib import Path

import pytest
import torch
from blobs import TRAINING, trial
from recorder import Recorder

from benchmarks import graphs, training_loop
from osr_core.methods import METHODS


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of four, and fewer prototypes."""
    monkeypatch.setattr(training_loop, "BATCH", 4)
    monkeypatch.setattr(training_loop, "PROTOTYPES", 2)


def test_every_learner_is_measured() -> None:
    """Those that any method trains."""
    stages = [stage for name in METHODS for stage in trial(name, TRAINING).score.walk()]
    trained = {stage.config["method"]["name"] for stage in stages if stage.kind.trains}
    assert set(graphs.LEARNERS) == trained


@pytest.mark.parametrize("name", ["softmax", "pmal", "osrci", "c2ae"])
def test_both_ways_are_measured_and_end_alike(name: str, captures: list[Recorder]) -> None:
    """Numbers that are 0 where no bit differs."""
    row = graphs.compare(name, count=22, width=0.1)
    assert row["eager_per_s"] > 0
    assert row["graphed_per_s"] > 0
    assert (row["eager_apart"], row["graphed_apart"]) == (0, 0)
    assert [each.num_captured for each in captures] == [1]


def test_a_difference_is_told(captures: list[Recorder], monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a replay that computes nothing."""
    lost = lambda self, step: (step(), lambda: None)  # noqa: E731
    monkeypatch.setattr(Recorder, "record", lost)
    assert graphs.compare("softmax", count=22, width=0.1)["graphed_apart"] > 0.1


def test_what_has_no_graph_says_why(
    captures: list[Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what cannot be captured, the first line that CUDA says, not the last, and where."""
    assert graphs.compare("proser", 22, 0.1)["failed"] == "its steps are not all alike"

    def refuse(self: Recorder, step: object) -> None:
        try:
            raise RuntimeError("CUDA error: operation not permitted\nwhen stream is capturing")
        finally:
            raise RuntimeError("CUDA error: operation failed due to a previous error")

    monkeypatch.setattr(Recorder, "record", refuse)
    row = graphs.compare("softmax", 22, 0.1)
    assert row["failed"].startswith("CUDA error: operation not permitted (")
    assert row["eager_per_s"] > 0


def test_after_a_failure_the_others_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each process goes on behind the row before; one that dies leaves its last words."""
    monkeypatch.setattr(graphs, "LEARNERS", ("a", "b", "dies", "c", "mute"))
    (program := tmp_path / "python").write_text(
        "#!/bin/sh\nshift 2\nfor name; do\n"
        "case $name in dies) echo noise; echo out of luck >&2; exit 1;; mute) exit 0;; esac\n"
        'echo "{\\"method\\": \\"$name\\"}"\n'
        "test $name = a && exit 0\ndone\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    died = {"method": "dies", "failed": "out of luck"}
    mute = {"method": "mute", "failed": "it ended with 0"}
    assert graphs.measure() == [{"method": "a"}, {"method": "b"}, died, {"method": "c"}, mute]


def test_a_process_ends_at_its_first_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """CUDA may be in a bad state then."""
    rows = {"a": {"method": "a"}, "b": {"method": "b", "failed": "why"}, "c": {"method": "c"}}
    monkeypatch.setattr(graphs, "compare", lambda name, count, width: rows[name])
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    graphs.here(["a", "b", "c"])
    assert list(map(json.loads, capsys.readouterr().out.splitlines())) == [rows["a"], rows["b"]]


def test_a_network_that_cannot_be_compiled_is_left_out(
    captures: list[Recorder], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a GPU our loop is there as it is and by graphs, of one method both compiled, too."""
    images, labels = training_loop.made_up_images(22, 3)

    def loops(name: str, *, gpu: bool = True) -> list[str]:
        captures.clear()
        epochs = training_loop.our_epochs(name, images, labels, 0.1, gpu=gpu)
        for epoch in epochs.values():
            epoch()
        return list(epochs)

    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **how: None)
    assert loops("cac", gpu=False) == ["ours"]
    assert captures == []
    assert loops("softmax") == ["ours", "graphed"]
    assert [each.num_captured for each in captures] == [1]
    assert loops("cac") == ["ours", "graphed", "compiled", "graphed_compiled"]
    assert [each.num_captured for each in captures] == [1, 1]

    def broken(self: torch.nn.Module, **how: object) -> None:
        self.register_forward_pre_hook(lambda *_: 1 // 0)

    monkeypatch.setattr(torch.nn.Module, "compile", broken)
    assert loops("cac") == ["ours", "graphed"]
    printed = capsys.readouterr().out
    assert "compiled left out: ZeroDivisionError: integer division" in printed
    assert "graphed_compiled left out" in printed
