"""`osr status` tells of the part of a sweep that is asked for."""

import json
from pathlib import Path
from typing import Any

import pytest

from sweeps.store.store import Store
from tests.sweeps.commands.handmade_sweep import made_by_hand, stage_id, typed

FIT, SCORE = stage_id("fit", "cac", 0), stage_id("score", "cac", 0)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A sweep in which one stage is in each state."""
    made = made_by_hand(tmp_path)
    made.attempts.save_progress(FIT, 12, 1.0, [{"epoch": 3, "at": 2.0, "lr": 0.1}], host="node-1")
    made.attempts.save_failure(SCORE, "out of luck", "Traceback ...")
    made.orders.cancel("small", [stage_id("score", "mls", 1)])
    return made


def told(store: Store, *words: str) -> dict[str, Any]:
    """What it says for programs."""
    return dict(json.loads(typed(store, "status", *words, "--json").stdout))


def test_it_shows_the_ids_that_other_commands_take(store: Store):
    """Of what is begun, what failed and what was cancelled."""
    lines = typed(store, "status").stdout.splitlines()
    (begun,) = [line.split() for line in lines if FIT[:8] in line]
    assert begun[-2:] == ["3/12", "node-1"]
    (failed,) = [line for line in lines if SCORE[:8] in line]
    assert "out of luck" in failed
    assert any(stage_id("score", "mls", 1)[:8] in line for line in lines)


@pytest.mark.parametrize(
    ("words", "counts"),
    [
        ((), (0, 6, 1, 10, 1, 1)),
        (("--method", "cac"), (0, 2, 0, 4, 1, 0)),
        (("--method", "mls", "--split", "1"), (0, 1, 1, 2, 0, 1)),  # with the fit that it needs
        (("--method", "mls", "--method", "cac", "--kind", "score"), (0, 4, 0, 4, 1, 1)),
        (("--failed",), (0, 6, 0, 1, 1, 0)),
    ],
)
def test_counts_are_of_what_is_meant(store: Store, words: tuple[str, ...], counts: tuple[int, ...]):
    """Trials done, trials, stages done, stages, failed, cancelled."""
    (row,) = told(store, *words)["sweeps"]
    assert tuple(row.values())[1:] == counts


def test_stages_without_news_are_listed_where_they_are_asked_for(store: Store):
    """All five of a split are too many otherwise."""
    waiting = typed(store, "status", "--state", "waiting", "--split", "0").stdout
    assert "fit softmax digits/0 seed 0" in waiting
    assert "fit cac digits/0 seed 0" not in waiting
    assert "fit softmax digits/0 seed 0" not in typed(store, "status").stdout


def test_a_filter_needs_a_sweep(store: Store):
    """Words of one sweep mean nothing in another."""
    from click.testing import Result
    from typer.testing import CliRunner

    from sweeps.commands.app import app

    refused: Result = CliRunner().invoke(app, ["status", "--failed"])
    assert str(refused.exception) == "--state failed needs a sweep: osr status SWEEP --state failed"
