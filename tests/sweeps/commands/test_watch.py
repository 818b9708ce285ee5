"""`osr watch` follows a sweep until nobody runs it, and says how to go on."""

from pathlib import Path
from time import sleep
from types import SimpleNamespace

import pytest

from sweeps.commands import watch
from sweeps.store.leases import Lease
from sweeps.store.store import Store
from tests.sweeps.commands.handmade_sweep import made_by_hand, stage_id, typed

FIT, SCORE = stage_id("fit", "cac", 0), stage_id("score", "cac", 0)
WORK = {"running": 1, "queued": 2, "eta_s": [300.0, 240.0, 400.0]}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A sweep in which a fit is begun."""
    made = made_by_hand(tmp_path)
    rows = [{"epoch": 3, "at": 2.0, "lr": 0.1}]
    made.attempts.save_progress(FIT, 12, 1.0, rows, host="node-1")
    return made


def test_what_changes_is_a_line_until_nobody_runs_it(store: Store, monkeypatch: pytest.MonkeyPatch):
    """Here a driver lives at first; then a stage fails, and then the driver ends."""
    lease = Lease(store.leases, "small", take_over=False)
    lease.__enter__()
    lease.tell(WORK)
    while not (store.leases.latest("small")[1] or {}).get("work"):
        sleep(0.05)  # it is written with the next heartbeat
    steps = iter(
        [
            lambda: None,
            lambda: store.attempts.save_failure(SCORE, "out of luck", "Traceback ..."),
            lambda: lease.__exit__(None, None, None),
        ]
    )
    monkeypatch.setattr(watch, "time", SimpleNamespace(sleep=lambda seconds: next(steps)()))
    lines = typed(store, "watch").stdout.splitlines()
    assert lines == [
        "[1/10] 1 running, 2 queued",
        "[1/10] 1 running, 2 queued, failed: score cac digits/0 seed 0: out of luck",
        "[1/10] nobody runs it, failed: score cac digits/0 seed 0: out of luck",
        "what failed says more: osr logs small --failed",
        "to go on, also with what failed: osr run SPEC, with the spec of small",
    ]


def test_a_sweep_that_is_complete_ends_the_watching_at_once(store: Store):
    """And names the next command."""
    for stage in store.sweep("small")["stages"]:  # type: ignore[index]
        if stage["stage_id"] not in store.committed([stage["stage_id"]]):
            store.commit(stage["stage_id"], {}, {}, {}, started_at=1.0, wall_s=1.0, host="here")
    assert typed(store, "watch").stdout.splitlines() == [
        "[10/10] nobody runs it",
        "all is done: osr table small",
    ]
