"""`osr stop` gives its order to the driver that runs the sweep, and says so where none does."""

from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from osr_core.errors import ConfigError
from sweeps.commands.app import app
from sweeps.store.leases import Fence, Lease
from sweeps.store.orders import Given
from sweeps.store.store import Store

FIT, SCORE, DONE = "3f" + "0" * 30, "3a" + "1" * 30, "5b" + "2" * 30
STAGES = {FIT: "fit cac digits/3 seed 0", SCORE: "score cac digits/3 seed 0", DONE: "fit softmax"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A sweep of three stages, one of them done."""
    made = Store(tmp_path / "store")
    stages = [{"stage_id": stage_id, "label": label} for stage_id, label in STAGES.items()]
    made.save_sweep("small", {"sweep": "small", "trials": [], "stages": stages})
    made.commit(DONE, {}, {}, {}, started_at=1.0, wall_s=1.0, host="here")
    return made


def stop(store: Store, *arguments: str) -> Result:
    """The command as typed."""
    home = str(Path(store.uri).parent)
    return CliRunner().invoke(app, ["stop", *arguments, "--home", home])


def given(store: Store) -> Given:
    """What the sweep's first driver was ordered."""
    return store.orders.read(Fence("small", 1))


def test_a_running_sweep_is_stopped(store: Store):
    """From another terminal, or another machine that sees the store."""
    with Lease(store.leases, "small", take_over=False):
        done = stop(store, "small")
    assert (done.exit_code, given(store)) == (0, Given(stop=True))
    assert "sweep small stops: running epochs end and are saved" in done.stdout


@pytest.mark.parametrize("stage", [FIT[:2], FIT, STAGES[FIT]], ids=["beginning", "id", "name"])
def test_one_stage_is_stopped_by_the_beginning_of_its_id(store: Store, stage: str):
    """And the sweep is not."""
    with Lease(store.leases, "small", take_over=False):
        done = stop(store, "small", "--stage", stage)
    assert (done.exit_code, given(store)) == (0, Given(stages=frozenset({FIT})))
    assert "fit cac digits/3 seed 0 stops" in done.stdout


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        ("3", r"2 stages of sweep 'small' have an id that begins with '3', such as 3f00"),
        ("77", r"no stage of sweep 'small' is called '77'.*`osr status small` shows the ids"),
        (DONE[:4], "fit softmax of sweep 'small' is done"),
    ],
    ids=["two", "none", "done"],
)
def test_a_stage_that_cannot_be_stopped_is_refused(store: Store, stage: str, words: str):
    """Rather than an order that nobody obeys."""
    with Lease(store.leases, "small", take_over=False):
        refused = stop(store, "small", "--stage", stage)
        assert given(store) == Given()
    assert isinstance(refused.exception, ConfigError)
    with pytest.raises(ConfigError, match=words):
        raise refused.exception


def test_a_sweep_that_nobody_runs_is_refused(store: Store):
    """Before its first driver, and after the last one has ended."""
    for _ in range(2):
        refused = stop(store, "small")
        assert str(refused.exception) == "nobody runs sweep 'small', so there is nothing to stop."
        with Lease(store.leases, "small", take_over=False):
            pass
    assert given(store) == Given()


def test_status_shows_the_ids_that_stop_takes(store: Store):
    """Of what is begun and of what failed."""
    store.attempts.save_progress(FIT, 12, 1.0, [{"epoch": 3, "at": 2.0, "lr": 0.1}])
    store.attempts.save_failure(SCORE, "out of luck", "Traceback ...")
    home = str(Path(store.uri).parent)
    lines = CliRunner().invoke(app, ["status", "--home", home]).stdout.splitlines()
    (begun,) = [line.split() for line in lines if FIT[:8] in line]
    assert begun[-2:] == ["3", "12"]
    (failed,) = [line for line in lines if SCORE[:8] in line]
    assert "out of luck" in failed
