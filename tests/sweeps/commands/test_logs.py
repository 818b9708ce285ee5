"""`osr logs` prints what stages have told, and goes on with it where asked."""

import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.store.leases import Lease
from sweeps.store.store import Store
from tests.sweeps.commands.handmade_sweep import made_by_hand, stage_id, typed

FIT, SCORE = stage_id("fit", "cac", 0), stage_id("score", "cac", 0)
LOG = "attempt began 2026-01-31 15:00:00 UTC on here:17\nepoch=1/2 loss=0.5 wall_s=8.1\n"
MORE = "epoch=2/2 loss=0.4 wall_s=8.1\n"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Of a small sweep."""
    return made_by_hand(tmp_path)


@pytest.mark.parametrize("stage", [FIT[:3], "fit cac digits/0 seed 0"], ids=["beginning", "name"])
def test_the_log_of_a_stage_is_printed_as_it_is(store: Store, stage: str):
    """By the beginning of its id, or by what people call it."""
    store.attempts.save_log(FIT, LOG)
    assert typed(store, "logs", stage).stdout == LOG


def test_the_logs_of_several_have_headings(store: Store):
    """In the order of the plan; what has none is left out."""
    store.attempts.save_log(SCORE, MORE)
    store.attempts.save_log(FIT, LOG)
    of_cac = typed(store, "logs", "--method", "cac").stdout
    assert of_cac == (
        f"==> fit cac digits/0 seed 0 <==\n{LOG}\n==> score cac digits/0 seed 0 <==\n{MORE}"
    )
    assert typed(store, "logs").stdout == of_cac
    assert typed(store, "logs", "--kind", "fit").stdout.endswith(LOG)


def test_what_has_not_begun_has_no_log(store: Store):
    """And it is said."""
    for words, about in (
        ((SCORE[:3],), "score cac digits/0 seed 0 of sweep 'small'"),
        (("--method", "mls"), "what fits --method mls"),
        ((), "sweep 'small'"),
    ):
        assert f"{about} has no log" in str(typed(store, "logs", *words).exception)


def test_a_log_is_followed_until_its_stage_has_ended(store: Store):
    """Each line is printed once, also those of a stage that begins later."""
    home = str(Path(store.uri).parent)
    command = [sys.executable, "-m", "sweeps", "logs", "small", "--follow", "--home", home]
    store.attempts.save_log(FIT, LOG)
    command += ["--method", "cac", "--split", "0"]
    with (
        Lease(store.leases, "small", take_over=False),
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as follower,
    ):
        out = follower.stdout
        assert out is not None
        heading = "==> fit cac digits/0 seed 0 <==\n"
        assert [out.readline() for _ in range(3)] == [heading, *LOG.splitlines(keepends=True)]
        store.attempts.save_log(FIT, LOG + MORE)
        assert out.readline() == MORE
        store.attempts.save_log(SCORE, "done wall_s=1.0\n")
        for stage in (FIT, SCORE):
            store.commit(stage, {}, {}, {}, started_at=1.0, wall_s=1.0, host="here")
        assert out.read() == "\n==> score cac digits/0 seed 0 <==\ndone wall_s=1.0\n"
        assert follower.wait(60) == 0


def test_following_ends_when_nobody_runs_the_sweep(store: Store):
    """Nothing more will be told."""
    store.attempts.save_log(FIT, LOG)
    assert typed(store, "logs", FIT[:3], "--follow").stdout == LOG
