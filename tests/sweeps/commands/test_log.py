"""`osr log` prints what a stage has told."""

from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from sweeps.commands.app import app
from sweeps.store.store import Store
from tests.sweeps.commands.test_stop import FIT, SCORE, STAGES, store

__all__ = ["store"]
LOG = "attempt began 2026-01-31 15:00:00 UTC on here:17\nepoch=1/2 loss=0.5 wall_s=8.1\n"


def log(store: Store, *arguments: str) -> Result:
    """The command as typed."""
    return CliRunner().invoke(app, ["log", *arguments, "--home", str(Path(store.uri).parent)])


@pytest.mark.parametrize("stage", [FIT[:2], STAGES[FIT]], ids=["beginning", "name"])
def test_the_log_of_a_stage_is_printed_as_it_is(store: Store, stage: str):
    """By the beginning of its id, or by what people call it."""
    store.attempts.save_log(FIT, LOG)
    assert log(store, "small", stage).stdout == LOG


def test_a_stage_that_has_not_begun_has_no_log(store: Store):
    """And it is said."""
    assert "score cac digits/3 seed 0 of sweep 'small' has no log" in str(
        log(store, "small", SCORE[:2]).exception
    )
