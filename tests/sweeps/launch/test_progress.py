"""What a user sees while a sweep runs."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from sweeps.launch.eta import Eta
from sweeps.launch.progress import SweepProgress
from sweeps.planning.plan import Plan, make_plan
from sweeps.planning.spec import parse_spec
from sweeps.running.outcome import Cause, Outcome

SPEC = {"name": "small", "datasets": ["digits"], "splits": [0], "methods": {"mls": {}, "cac": {}}}


def test_counts_tell_done_from_failed_stopped_and_repeated():
    """What a user reads on the line while a sweep runs."""
    plan = make_plan(parse_spec(SPEC, "small"), {"digits/train": "-", "digits/test": "-"})
    todo = list(plan.stages.values())
    text = io.StringIO()
    with SweepProgress(plan, todo[1:], Console(file=text)) as progress:
        causes = [None, Cause.ERROR, Cause.INTERRUPTED]
        for stage, cause in zip(todo[1:], causes, strict=False):
            progress.handed_out(stage)
            progress.began(stage)
            outcome = Outcome(stage_id=stage.id, wall_s=1.0, cause=cause, reason=cause and "why")
            progress.finished(outcome, [])
    assert (progress.done, len(progress.failed), progress.running) == (2, 1, set())
    lines = text.getvalue().splitlines()
    assert lines[0].startswith(f"[2/{len(todo)}] {plan.describe(todo[1])} 1.0 s, eta ")
    assert lines[1] == f"failed {plan.describe(todo[2])}: why"
    assert lines[2] == f"stopped {plan.describe(todo[3])}"


def test_what_waits_for_a_machine_does_not_count_as_running():
    """More is handed out than runs at once, and none of it runs where there is no machine."""
    plan = make_plan(parse_spec(SPEC, "small"), {"digits/train": "-", "digits/test": "-"})
    first, second, *_ = plan.stages.values()
    with SweepProgress(plan, [first, second], Console(file=io.StringIO())) as progress:
        details = []
        for step in (
            lambda: progress.handed_out(first),
            lambda: progress.handed_out(second),
            lambda: progress.began(first),
            lambda: progress.postponed(first.id),
        ):
            step()
            details.append(progress.detail.partition(", 0 failed")[0])
    assert details == [
        "0 running, 1 queued",
        "0 running, 2 queued",
        "1 running, 1 queued",
        "0 running, 1 queued",
    ]


def searched(*values: float) -> Plan:
    """A plan whose search has candidates with these numbers, each complete."""
    plan = make_plan(parse_spec(SPEC, "small"), {"digits/train": "-", "digits/test": "-"})
    candidates = [
        {"number": n, "state": "complete", "params": {"alpha": 2.0 + n}, "values": {"known": [v]}}
        for n, v in enumerate(values)
    ]
    about = {"search_id": "a", "method": "cac", "dataset": "digits", "select": "known"}
    return replace(plan, searches=({**about, "candidates": candidates},))


@pytest.mark.parametrize("is_terminal", [False, True])
def test_the_best_candidate_so_far_is_shown_once_and_when_another_leads(is_terminal: bool):
    """With its value, the rule and its settings, on a terminal as in a log."""
    text = io.StringIO()
    console = Console(file=text, force_terminal=is_terminal, width=200, color_system=None)
    with SweepProgress(searched(), [], console) as progress:
        for values in ((), (0.5,), (0.5, 0.25), (0.5, 0.25, 0.75)):
            progress.grow(searched(*values), [])
    lines = [line for line in text.getvalue().splitlines() if "search" in line]
    assert [line[line.index("search") :].rstrip() for line in lines] == [
        "search cac digits: best so far 50.00 % by known, candidate 0 (alpha=2)",
        "search cac digits: best so far 75.00 % by known, candidate 2 (alpha=4)",
    ]


def test_a_long_sweep_is_laid_out_for_a_fiftieth_of_the_time(monkeypatch: pytest.MonkeyPatch):
    """The guess is asked for at every start and end; in between, the last one runs down."""
    clock, laid_out = [1000.0], []

    def eta(now: float) -> Eta:
        laid_out.append(now)
        clock[0] += 2.0  # so long does it take
        return Eta(500.0, 400.0, 600.0)

    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    plan = make_plan(parse_spec(SPEC, "small"), {"digits/train": "-", "digits/test": "-"})
    progress = SweepProgress(plan, [], Console(file=io.StringIO()))
    monkeypatch.setattr(progress.pace, "eta", eta)
    said = []
    for _ in range(10):
        said.append(progress.eta())
        clock[0] += 10.0
    assert len(laid_out) == 1
    assert said[:2] == [Eta(500.0, 400.0, 600.0), Eta(488.0, 388.0, 588.0)]
    progress.eta()
    assert len(laid_out) == 2
