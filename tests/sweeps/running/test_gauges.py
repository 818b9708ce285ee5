"""The board in deploy/ shows what is exported, and nothing that is not."""

import json
import re
from io import StringIO
from pathlib import Path

from ray.dashboard.modules.reporter.reporter_agent import METRICS_GAUGES
from rich.console import Console

from sweeps.launch.progress import SweepProgress
from sweeps.planning.data import plan_with_data
from sweeps.planning.spec import load_spec
from sweeps.running.gauges import ABOUT
from sweeps.running.outcome import Cause, Outcome
from tests.sweeps.command import TINY

BOARD = Path(__file__).parents[3] / "deploy" / "grafana.json"
METRIC = re.compile(r"\bray_\w+")


def expressions() -> list[str]:
    """What the board asks Prometheus for."""
    board = json.loads(BOARD.read_text())
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def test_the_board_shows_all_of_our_gauges_and_no_name_that_nobody_exports():
    """Ray puts its prefix before its own names and ours."""
    asked = {name for text in expressions() for name in METRIC.findall(text)}
    ours = {f"ray_{name}" for name in ABOUT}
    rays = {f"ray_{name}" for name in METRICS_GAUGES}
    assert ours <= asked
    assert asked <= ours | rays


def test_the_board_groups_by_tags_that_the_gauges_have():
    """A tag that does not exist would show one line for all."""
    keys = {f"ray_{name}": {"sweep", *keys} for name, (_, keys) in ABOUT.items()}
    keys |= {
        f"ray_{n}": {"instance", *map(str, gauge.view.columns)}
        for n, gauge in METRICS_GAUGES.items()
    }
    for text in expressions():
        (name,) = METRIC.findall(text)
        grouped = re.search(r"by \(([^)]*)\)", text)
        assert grouped is not None, text
        assert set(grouped[1].split(", ")) <= keys[name], text


def test_each_stage_is_in_one_state():
    """Their sum is the sweep."""
    plan = plan_with_data(load_spec(str(TINY)), None)
    todo = [*plan.stages.values()]
    progress = SweepProgress(plan, todo, Console(file=StringIO()))
    first, second, third, fourth, *_ = todo
    for stage in (first, second, third, fourth):
        progress.handed_out(stage)
    for stage in (first, second, third):
        progress.began(stage)
    progress.finished(Outcome(stage_id=first.id, wall_s=1.0), [])
    cause = Cause.REFUSED
    progress.finished(Outcome(stage_id=second.id, wall_s=1.0, cause=cause, reason="no"), [])
    left = len(todo) - 4
    assert progress.states == {"done": 1, "running": 1, "queued": 1, "failed": 1, "waiting": left}
