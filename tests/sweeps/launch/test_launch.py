"""A launch and what may go wrong around its stages."""

import errno
import os
import signal
import socket
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from osr_core.errors import ConfigError
from osr_core.graphs import VARIABLE
from osr_core.stage import Stage
from sweeps.home import Home
from sweeps.launch import shutdown
from sweeps.launch.conduct import Conduct, LaunchError
from sweeps.launch.launch import run_pass, run_sweep
from sweeps.launch.progress import SweepProgress
from sweeps.launch.shutdown import AtOnce, Shutdown
from sweeps.launch.state import Launch
from sweeps.planning.plan import make_plan
from sweeps.planning.resources import Resources
from sweeps.planning.spec import parse_spec
from sweeps.running.cluster import ClusterError, check_answers, connect, explained
from sweeps.running.outcome import Cause, Outcome
from sweeps.running.placement import Machines
from sweeps.running.searcher import StageSearcher
from sweeps.store.files import FileError
from sweeps.store.leases import Fence
from sweeps.store.store import Store
from tests.faults.harness import free_port
from tests.sweeps.command import TINY, call_osr

SPEC = {"name": "small", "datasets": ["digits"], "splits": [0], "methods": {"softmax": {}}}


@pytest.fixture
def conduct(tmp_path: Path) -> Conduct:
    """Of a launch whose stages are about to begin."""
    plan = make_plan(parse_spec(SPEC, "small"), {"digits/train": "-", "digits/test": "-"})
    home, console = Home(tmp_path), Console(quiet=True)
    launch = Launch(plan, Store(home.store), home, None, console, Fence("small", 1), None)
    sent = SimpleNamespace(add=lambda stage: None, started=lambda stage: None)
    progress = SweepProgress(plan, list(plan.stages.values()), console)
    return Conduct(launch, progress, sent)  # type: ignore[arg-type]


def nothing_left(conduct: Conduct) -> StageSearcher:
    """Hands out stages until it is stopped, of which there are none."""
    return StageSearcher([], Resources(), conduct, lambda: Machines(({"CPU": 1.0},)), wait_s=60.0)


def test_ctrl_c_on_a_full_disk_is_a_stop(conduct: Conduct, monkeypatch: pytest.MonkeyPatch):
    """The workers cannot be told by way of the store; all else is as ever."""

    def full(name: str, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    conduct.begin(searcher := nothing_left(conduct))
    monkeypatch.setattr(conduct.launch.store._files, "_write", full)
    with Shutdown(conduct.stop):
        signal.raise_signal(signal.SIGINT)
    assert (searcher.stopping, conduct.launch.stopped) == (True, True)


def test_ctrl_c_before_ray_starts_asks_a_silent_store_nothing(
    conduct: Conduct, monkeypatch: pytest.MonkeyPatch
):
    """It would take a minute, and end with the store's words instead."""
    asked: list[object] = []

    def committed(stage_ids: object) -> set[str]:
        asked.append(stage_ids)
        raise KeyboardInterrupt if len(asked) == 1 else FileError("the store does not answer")

    closed: list[tuple[str, bool]] = []
    tracking = SimpleNamespace(close=lambda status, hurry: closed.append((status, hurry)))
    monkeypatch.setattr(conduct.launch.store, "committed", committed)
    with pytest.raises(KeyboardInterrupt):
        run_pass(conduct.launch, (), tracking)  # type: ignore[arg-type]
    assert closed == [("KILLED", True)]


GIVEN_UP = Outcome(stage_id="", wall_s=1.0, cause=Cause.REFUSED, reason="out of luck")


def failing(conduct: Conduct, monkeypatch: pytest.MonkeyPatch, number: int) -> Outcome:
    """Let the store take nothing, and a stage be given up; its end."""

    def fail(name: str, content: bytes) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(conduct.launch.store._files, "_write", fail)
    return replace(GIVEN_UP, stage_id=next(iter(conduct.launch.plan.stages)))


def test_a_store_that_is_away_when_a_stage_is_given_up_ends_no_launch(
    conduct: Conduct, monkeypatch: pytest.MonkeyPatch
):
    """Why is noted when it is back, and MLflow, which learns it from there, is told then."""
    told: list[Stage] = []
    monkeypatch.setattr(conduct.tracking, "add", told.append)
    store = conduct.launch.store
    with conduct.progress, monkeypatch.context() as away:
        outcome = failing(conduct, away, errno.ETIMEDOUT)
        conduct.ended(outcome, [])
        conduct.look()
        assert (len(conduct.progress.failed), told) == (1, [])
    assert store.attempts.failure(outcome.stage_id) is None
    conduct.look()
    failure = store.attempts.failure(outcome.stage_id)
    assert failure is not None
    assert failure["reason"] == "out of luck"
    assert [stage.id for stage in told] == [outcome.stage_id]


def test_a_disk_that_is_full_when_a_stage_is_given_up_ends_the_launch(
    conduct: Conduct, monkeypatch: pytest.MonkeyPatch
):
    """Every other stage would fail in the same way."""
    outcome = failing(conduct, monkeypatch, errno.ENOSPC)
    with conduct.progress, pytest.raises(FileError, match="Make room"):
        conduct.ended(outcome, [])


def test_a_store_that_is_away_when_a_stage_is_repeated_ends_no_launch(
    conduct: Conduct, monkeypatch: pytest.MonkeyPatch
):
    """Whoever has taken the sweep over is found by the workers, too."""

    def away(folder: str) -> None:
        raise OSError(errno.ETIMEDOUT, "Connection timed out")

    monkeypatch.setattr(conduct.launch.store._files, "_below", away)
    lost = replace(GIVEN_UP, stage_id=next(iter(conduct.launch.plan.stages)), cause=Cause.ERROR)
    with conduct.progress:
        conduct.retried(lost)
    assert conduct.launch.retried == 1


def test_an_orderly_end_has_its_time_and_no_more(monkeypatch: pytest.MonkeyPatch):
    """Epochs may be long; when it is over, all ends as at a second Ctrl-C."""
    monkeypatch.setattr(shutdown, "GRACE_S", 0.1)

    def take_a_minute() -> None:
        signal.raise_signal(signal.SIGTERM)
        time.sleep(60)

    asked: list[int] = []
    with Shutdown(lambda: asked.append(1)), pytest.raises(AtOnce):
        take_a_minute()
    assert asked == [1]


@pytest.mark.parametrize("cause", [Cause.TAKEN_OVER, Cause.UNFIT])
def test_one_that_cannot_go_on_says_why_and_hands_out_no_more(
    conduct: Conduct, monkeypatch: pytest.MonkeyPatch, cause: str
):
    """No stage is to blame, so none is given up; and what workers save now may be refused."""
    said: list[Any] = []
    monkeypatch.setattr(conduct.launch.console, "print", said.append)
    conduct.begin(searcher := nothing_left(conduct))
    stage_id = next(iter(conduct.launch.plan.stages))
    outcome = Outcome(stage_id=stage_id, wall_s=1.0, cause=cause, reason="by process 2")
    with pytest.raises(LaunchError, match="by process 2"):
        conduct.ended(outcome, [])
    assert conduct.launch.store.attempts.failures([stage_id]) == {}
    assert (searcher.stopping, said) == (True, [])


def test_a_fit_that_is_repeated_may_be_trained_by_another_sweep_meanwhile(conduct: Conduct):
    """Its next attempt may have to wait for a machine."""
    store, fence = conduct.launch.store, conduct.launch.fence
    stage_id = next(iter(conduct.launch.plan.stages))
    store.leases.create("small", 1, {"host": "", "pid": 1, "released": False})
    assert store.claims.take(stage_id, fence) is None
    lost = Outcome(stage_id=stage_id, wall_s=1.0, cause=Cause.NODE_LOST, reason="node lost")
    with conduct.progress:
        conduct.retried(lost)
    assert store.claims.take(stage_id, Fence("other", 1)) is None


def test_a_cluster_that_is_not_there_is_said_before_any_work(tmp_path: Path):
    """Ray itself goes on asking for ten minutes and more."""
    address = f"127.0.0.1:{free_port()}"
    refused = call_osr("run", TINY, "--address", address, home=tmp_path / "home")
    assert refused.returncode == 2
    assert f"no Ray cluster answers at {address} (Connection refused)" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_an_address_where_somebody_listens_is_taken(host: str):
    """As Ray writes them."""
    family = socket.AF_INET6 if host == "[::1]" else socket.AF_INET
    with socket.create_server(("::1" if host == "[::1]" else "127.0.0.1", 0), family=family) as it:
        check_answers(f"{host}:{it.getsockname()[1]}")
    check_answers("auto")


def test_a_switch_that_says_neither_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Each fit would fail of it, after Ray has started."""
    monkeypatch.setenv(VARIABLE, "on")
    home = Home(tmp_path / "home")
    with pytest.raises(ConfigError, match="OSR_GRAPHS is 'on'; write 1"):
        run_sweep(parse_spec(SPEC, "small"), home, None, Console(quiet=True))
    assert not home.root.exists()


def test_rays_client_is_refused_with_what_to_give_instead():
    """Tune cannot run through it."""
    with pytest.raises(ConfigError, match=r"no sweep can be run through Ray's client \(ray://\)"):
        check_answers("ray://localhost:10001")


@pytest.mark.parametrize("address", ["127.0.0.1:x", "a..b:80", "127.0.0.1:99999", f"{'a' * 70}:80"])
def test_an_address_that_can_be_none_is_refused(address: str):
    """Each in its own way, and none with a traceback."""
    with pytest.raises(ConfigError, match="no Ray cluster answers at"):
        check_answers(address)


@pytest.mark.parametrize("address", ["", "head", "127.0.0.1", "local", ":6379"])
def test_an_address_without_a_host_or_port_is_refused(address: str):
    """`--address "$HEAD"` without the variable started Ray where it was typed."""
    with pytest.raises(ConfigError, match=r"--address takes HOST:PORT, or 'auto' .*, not '"):
        check_answers(address)


def test_a_cluster_that_auto_does_not_find_is_said_in_our_words(monkeypatch: pytest.MonkeyPatch):
    """Ray's own name an option and a variable that are not this command's."""

    def none_there(**settings: Any) -> None:
        raise ConnectionError("Could not find any running Ray instance")

    monkeypatch.setattr("ray.init", none_there)
    with pytest.raises(ConfigError, match="no Ray cluster runs on this machine"):
        connect("auto")
    with pytest.raises(ClusterError, match="Could not find"):
        connect("head:6379")


def test_what_ray_raises_is_a_sentence(monkeypatch: pytest.MonkeyPatch):
    """And what we raise stays what it is."""

    def broken(**settings: Any) -> None:
        raise TimeoutError("Timed out")

    monkeypatch.setattr("ray.init", broken)
    with pytest.raises(ClusterError, match="Ray did not start: TimeoutError: Timed out"):
        connect()
    with pytest.raises(ConfigError, match="mine"), explained("Ray ended", "Go on."):
        raise ConfigError("mine")
