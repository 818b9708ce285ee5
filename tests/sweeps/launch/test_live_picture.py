"""What a terminal shows while a sweep runs: stored text, and where there is no terminal."""

import io
import threading
from collections.abc import Iterator

import pytest
from rich.console import Console, RenderableType

from osr_core.stage import Stage
from sweeps.launch import gpus
from sweeps.launch.best import Best
from sweeps.launch.eta import Eta
from sweeps.launch.progress import SweepProgress
from sweeps.planning.plan import Plan, make_plan
from sweeps.planning.spec import parse_spec
from sweeps.running.outcome import Cause, Outcome
from tests.terminal import check_picture

SPEC = {
    "name": "two-splits",
    "datasets": ["digits"],
    "splits": [0, 1],
    "methods": {"softmax": {}, "mls": {}, "openmax": {}, "cac": {"anchor_weight": [0.05, 0.1]}},
}
MEMORY = "0, 1234, 81559\n1, 40000, 81559\n2, [N/A], [N/A]\n"


def planned() -> Plan:
    """Two splits of five rows."""
    return make_plan(parse_spec(SPEC, "spec"), {f"digits/{one}": "-" for one in ("train", "test")})


def ended(progress: SweepProgress, stage: Stage, cause: Cause | None = None) -> None:
    """A stage has begun, and ended like this."""
    progress.handed_out(stage)
    progress.began(stage)
    reason = cause and "ValueError: the loss is not finite at epoch 3, where it was 1e30"
    outcome = Outcome(stage_id=stage.id, wall_s=1.0, cause=cause, reason=reason)
    progress.finished(outcome, [])


@pytest.fixture
def under_way(monkeypatch: pytest.MonkeyPatch) -> Iterator[SweepProgress]:
    """Some stages are done, one failed, two run and one waits; a GPU is half full."""
    plan = planned()
    values = iter([0.91, 0.95, 0.93])
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    progress = SweepProgress(plan, [*plan.stages.values()], console, read=lambda _: next(values))
    monkeypatch.setattr(progress, "eta", lambda: Eta(300.0, 240.0, 400.0))
    progress.since -= 7230
    monkeypatch.setattr(progress.live, "start", lambda: None)
    of_kind = {
        kind: [stage for stage in plan.stages.values() if stage.kind.name == kind]
        for kind in ("fit", "score")
    }
    with progress:
        for stage in (*of_kind["fit"][:3], *of_kind["score"][:3]):
            ended(progress, stage)
        ended(progress, of_kind["fit"][3], Cause.ERROR)
        progress.began(of_kind["fit"][4])
        progress.began(of_kind["score"][4])
        progress.handed_out(of_kind["fit"][5])
        progress.gpus.line = gpus.in_words(MEMORY)
        yield progress


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_a_running_sweep_fits_the_terminal(under_way: SweepProgress, columns: int):
    """Counts by kind, what runs, the best rows, GPU memory, and why the last stage failed."""
    text = io.StringIO()
    Console(file=text, width=columns, color_system=None).print(under_way.picture())
    check_picture("run", columns, text.getvalue())


def test_before_a_stage_has_ended_something_is_seen_to_happen():
    """Ray takes half a minute to start, and a first fit may take an hour."""
    plan = planned()
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    progress = SweepProgress(plan, [*plan.stages.values()], console)

    def shown() -> list[str]:
        text = io.StringIO()
        Console(file=text, width=80).print(progress.picture())
        return [line.strip().partition(" ")[2].strip() for line in text.getvalue().splitlines()]

    assert shown()[1] == "Ray is starting"
    fit = next(iter(plan.stages.values()))
    progress.handed_out(fit)
    progress.began(fit)
    progress.since -= 9030
    _, now, eta, *_ = shown()
    assert now == "1 running, 0 failed, 2 h 30 min so far"
    assert eta == "not known before a stage has ended"


def test_the_drivers_own_thread_looks_at_what_runs(monkeypatch: pytest.MonkeyPatch):
    """The one of rich draws what it is given: what it looked at itself could change meanwhile."""
    plan, threads, picture = planned(), set(), SweepProgress.picture

    def noted(progress: SweepProgress) -> RenderableType:
        threads.add(threading.current_thread())
        return picture(progress)

    monkeypatch.setattr(SweepProgress, "picture", noted)
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with SweepProgress(plan, [*plan.stages.values()], console) as progress:
        ended(progress, next(iter(plan.stages.values())))
        progress.look()
        another = threading.Thread(target=progress.live.refresh)
        another.start()
        another.join()
    assert threads == {threading.main_thread()}
    assert "1/18" in console.file.getvalue()


def test_memory_is_told_of_gpus_that_tell_it():
    """Partitions and shared memory give no numbers."""
    assert gpus.in_words(MEMORY) == "0: 1.2 of 79.6 GiB, 1: 39.1 of 79.6 GiB"
    assert gpus.in_words("No devices were found\n") == ""


def test_the_best_are_means_over_finished_trials_of_the_table():
    """Of each data set, best first; a trial that cannot be read is left out, and so is its row."""
    plan = planned()
    known = {trial.id: 0.5 + 0.1 * trial.split.index for trial in plan.trials}
    known |= {trial.id: 0.9 for trial in plan.trials if trial.method == "cac"}
    del known[next(trial.id for trial in plan.trials if trial.method == "mls")]
    best = Best(known.get)
    best.add(plan, plan.stages.values())
    (line,) = best.lines()
    assert line == (
        "digits: CAC anchor_weight=0.05 90.0 (2), CAC anchor_weight=0.1 90.0 (2), Softmax 55.0 (2)"
    )


def test_no_row_leads_by_an_easier_split():
    """One row has finished split 1, the others both: it is not compared with their means."""
    plan = planned()
    easy = {trial.id for trial in plan.trials if trial.method == "mls" and trial.split.index}
    others = [trial for trial in plan.trials if trial.method != "mls"]
    known = dict.fromkeys(easy, 0.99) | {trial.id: 0.5 for trial in others}
    best = Best(known.get)
    best.add(plan, [plan.stages[trial] for trial in easy])
    assert best.lines() == ["digits: MLS 99.0 (1)"]
    best.add(plan, [plan.stages[trial.id] for trial in others])
    assert "MLS" not in best.lines()[0]


@pytest.mark.parametrize("kind", ["no terminal", "dumb", "quiet"])
def test_elsewhere_nothing_is_drawn(kind: str, monkeypatch: pytest.MonkeyPatch):
    """A log and a dumb terminal get a line for each stage; --quiet gets nothing at all."""
    monkeypatch.setenv("TERM", "dumb" if kind == "dumb" else "xterm")
    text, plan = io.StringIO(), planned()
    console = Console(file=text, force_terminal=kind != "no terminal", quiet=kind == "quiet")
    with SweepProgress(plan, [*plan.stages.values()], console) as progress:
        ended(progress, next(iter(plan.stages.values())))
    assert "\x1b" not in text.getvalue()
    assert text.getvalue().startswith("" if kind == "quiet" else "[1/")
    assert bool(text.getvalue()) == (kind != "quiet")
