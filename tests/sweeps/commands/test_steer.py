"""What is ordered of a sweep from elsewhere: `osr stop`, `cancel`, `retry`, `pause`, `resume`."""

from pathlib import Path

import pytest

from osr_core.errors import ConfigError
from sweeps.store.leases import Fence, Lease
from sweeps.store.orders import Given
from sweeps.store.store import Store
from tests.sweeps.commands.handmade_sweep import made_by_hand, stage_id, typed

SOFTMAX, CAC = stage_id("fit", "softmax", 0), stage_id("fit", "cac", 0)
MLS_SCORE, CAC_SCORE = stage_id("score", "mls", 0), stage_id("score", "cac", 0)
OF_CAC = {stage_id(kind, "cac", split) for kind in ("fit", "score") for split in (0, 1)}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Of a small sweep."""
    return made_by_hand(tmp_path)


def given(store: Store) -> Given:
    """What the sweep's first driver is ordered."""
    return store.orders.read(Fence("small", 1))


def test_a_running_sweep_is_stopped(store: Store):
    """From another terminal, or another machine that sees the store."""
    with Lease(store.leases, "small", take_over=False):
        done = typed(store, "stop")
    assert (done.exit_code, given(store)) == (0, Given(stop=True))
    assert "sweep small stops: running epochs end and are saved" in done.stdout


def test_a_sweep_that_nobody_runs_is_not_stopped(store: Store):
    """Before its first driver, and after the last one has ended."""
    for _ in range(2):
        refused = typed(store, "stop")
        assert str(refused.exception) == "nobody runs sweep 'small', so there is nothing to stop."
        with Lease(store.leases, "small", take_over=False):
            pass
    assert given(store) == Given()


def test_a_method_is_cancelled_with_all_that_only_its_trials_need(store: Store):
    """Whether somebody runs the sweep or not."""
    done = typed(store, "cancel", "--method", "cac")
    assert done.exit_code == 0
    assert given(store).cancelled == OF_CAC
    assert "cancelled 4 stages of sweep small; 2 trials will have no result" in done.stdout
    assert "nobody runs the sweep now" in done.stdout
    assert "To take it back: osr retry small --method cac" in done.stdout


def test_what_a_trial_beside_those_meant_needs_is_not_cancelled(store: Store):
    """MLS scores the weights of softmax: its user has not asked for the loss of it."""
    done = typed(store, "cancel", "--method", "softmax", "--split", "0")
    assert given(store).cancelled == {stage_id("score", "softmax", 0)}
    assert "goes on, since trials beside these need it: fit softmax digits/0" in done.stdout
    typed(store, "cancel", "--method", "mls", "--split", "0")
    typed(store, "cancel", "--method", "softmax", "--split", "0")
    assert SOFTMAX in given(store).cancelled  # now nobody wants it


def test_one_stage_is_cancelled_by_the_beginning_of_its_id_or_its_name(store: Store):
    """Then it is what the user has seen, with all that needs it."""
    done = typed(store, "cancel", SOFTMAX[:3])
    assert given(store).cancelled == {SOFTMAX}
    assert "cancelled fit softmax digits/0 seed 0 of sweep small; 2 trials will" in done.stdout
    typed(store, "cancel", "fit cac digits/0 seed 0")
    assert given(store).cancelled == {SOFTMAX, CAC}


def test_what_was_cancelled_or_has_failed_is_retried_with_what_it_rests_on(store: Store):
    """A score without its cancelled weights could not run."""
    store.orders.cancel("small", [CAC, CAC_SCORE, MLS_SCORE])
    store.attempts.save_failure(SOFTMAX, "out of luck", "")
    with Lease(store.leases, "small", take_over=False):
        done = typed(store, "retry", "--method", "cac")
        assert "2 stages of sweep small will be tried again, with what needs it" in done.stdout
        after = given(store)
        assert (after.cancelled, after.retried) == ({MLS_SCORE}, {CAC, CAC_SCORE})
        typed(store, "retry", "--failed")
    assert given(store).retried == {CAC, CAC_SCORE, SOFTMAX}
    assert store.attempts.failure(SOFTMAX) is None


def test_a_sweep_is_paused_and_resumed_whoever_runs_it(store: Store):
    """Also before the next launch."""
    assert "the next `osr run` waits" in typed(store, "pause").stdout
    assert given(store) == Given(paused=True)
    assert "is paused, until `osr resume small`" in typed(store, "status").stdout
    with Lease(store.leases, "small", take_over=False):
        assert "sweep small goes on" in typed(store, "resume").stdout
    assert given(store) == Given()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("cancel", "f2"), r"2 stages of sweep 'small' have an id that begins with 'f2', such as"),
        (("cancel", "77"), r"no stage of sweep 'small' is called '77'.*`osr status small` shows"),
        (("cancel", "f01"), r"nothing to cancel in sweep 'small': fit softmax digits/1 .* is done"),
        (("cancel", "f00", "--method", "cac"), r"give a stage, 'f00', or a filter, --method cac"),
        (("cancel", "--method", "cacc"), r"method 'cacc' does not exist. Did you mean 'cac'\?"),
        (("cancel", "--split", "7"), r"split '7' does not exist. There is: 0, 1"),
        (("cancel", "--state", "broken"), r"state 'broken' does not exist. There is: begun, canc"),
        (("retry", "--failed"), r"no stage of sweep 'small' fits --state failed"),
        (("retry", "--method", "cac"), r"nothing to retry .*: --method cac is waiting"),
        (("resume",), r"sweep 'small' is not paused"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(store: Store, words: tuple[str, ...], told: str):
    """Rather than an order that nobody obeys."""
    refused = typed(store, *words)
    assert isinstance(refused.exception, ConfigError)
    with pytest.raises(ConfigError, match=told):
        raise refused.exception
    assert given(store) == Given()
