"""Ray is started again where a try fails, and nothing of a failed one is left."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Timer
from typing import Any

import psutil
import pytest
from ray._private import services, worker

from sweeps.launch.reaper import runs
from sweeps.running import cluster, ray_start
from sweeps.running.cluster import ClusterError
from sweeps.running.ray_start import TRIES


class Ray:
    """Starts a daemon with a helper at each try, and fails in the first ones."""

    def __init__(self, num_failures: int, failure: BaseException) -> None:
        self.num_failures, self.failure = num_failures, failure
        self.told: list[dict[str, Any]] = []
        self.daemons: list[subprocess.Popen[str]] = []
        self.helpers: list[psutil.Process] = []

    def init(self, **settings: Any) -> None:
        """In the place of `ray.init`."""
        self.told.append(settings)
        command = ["sh", "-c", 'sleep 600 & echo "$!"; wait']
        daemon = services.ConsolePopen(command, stdout=subprocess.PIPE, text=True)
        with daemon.stdout as said:
            self.helpers.append(psutil.Process(int(said.readline())))
        self.daemons.append(daemon)
        if len(self.told) <= self.num_failures:
            raise self.failure

    @property
    def running(self) -> list[bool]:
        """Whether the daemon of each try, or its helper, still runs."""
        both = zip(self.daemons, self.helpers, strict=True)
        return [daemon.poll() is None or runs(helper) for daemon, helper in both]

    def ends(self, num: int) -> bool:
        """Whether nothing runs of the first tries; who is killed may need a moment."""
        deadline = time.monotonic() + 60
        while any(self.running[:num]) and time.monotonic() < deadline:
            time.sleep(0.05)
        return not any(self.running[:num])


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Ray]]:
    """Lets another Ray be started; what it leaves ends with the test."""
    made: list[Ray] = []

    def make(num_failures: int, failure: BaseException) -> Ray:
        made.append(Ray(num_failures, failure))
        monkeypatch.setattr("ray.init", made[-1].init)
        return made[-1]

    yield make
    for each in made:
        for process in (*each.helpers, *each.daemons):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        for daemon in each.daemons:
            daemon.wait()


SLOW = Exception("The current node timed out during startup.")


def test_what_fails_twice_is_started_a_third_time(use: Callable[..., Ray]):
    """Alike; only what the last try has started runs, in a group of its own."""
    popen = services.ConsolePopen
    it = use(TRIES - 1, SLOW)
    cluster.connect()
    assert len(it.told) == TRIES
    assert all(told == it.told[0] for told in it.told)
    assert it.told[0]["address"] == "local"
    assert it.ends(TRIES - 1)
    assert it.running[-1]
    assert os.getpgid(it.daemons[-1].pid) == it.daemons[-1].pid
    assert services.ConsolePopen is popen


def test_what_fails_each_time_is_said(use: Callable[..., Ray]):
    """In Ray's words, and where its logs lie."""
    it = use(TRIES, SLOW)
    with pytest.raises(ClusterError, match=r"^Ray did not start: .* timed out .* Ray's logs are"):
        cluster.connect()
    assert it.ends(TRIES)


def test_who_stops_it_does_not_have_it_started_again(use: Callable[..., Ray]):
    """By Ctrl-C; what runs by then ends with the driver, as ever."""
    it = use(TRIES, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        cluster.connect()
    assert it.running == [True]


def test_a_node_that_came_up_is_not_started_again(
    use: Callable[..., Ray], monkeypatch: pytest.MonkeyPatch
):
    """Ray keeps what this process knows of it, which would be asked for by the next try."""
    monkeypatch.setattr(worker, "_global_node", object())
    it = use(TRIES, SLOW)
    with pytest.raises(ClusterError, match="Ray did not start"):
        cluster.connect()
    assert it.running == [True]


def test_a_cluster_that_cannot_be_joined_is_asked_once(use: Callable[..., Ray]):
    """Ray itself looks for it for long enough."""
    it = use(TRIES, SLOW)
    with pytest.raises(ClusterError, match="the Ray cluster at here:6379 cannot be joined"):
        cluster.connect("here:6379")
    assert [told["address"] for told in it.told] == ["here:6379"]


def test_two_drivers_do_not_start_ray_at_once(use: Callable[..., Ray]):
    """On a busy machine both would be too late, and so would their next tries."""
    code = "import sys\nfrom sweeps.running.ray_start import one_at_a_time\nwith one_at_a_time():\n"
    code += "    print('mine', flush=True)\n    sys.stdin.read()\n"
    command, pipe = [sys.executable, "-c", code], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "mine\n"
        it, begun = use(0, SLOW), list[int]()
        Timer(0.5, lambda: (begun.append(len(it.told)), other.stdin.close())).start()
        cluster.connect()
    assert (begun, len(it.told)) == ([0], 1)


def test_a_driver_that_never_ends_its_start_keeps_no_other(
    use: Callable[..., Ray], monkeypatch: pytest.MonkeyPatch
):
    """Somebody has stopped it with Ctrl-Z."""
    it = use(0, SLOW)
    with ray_start.one_at_a_time():
        monkeypatch.setattr(ray_start, "TURN_S", 0.2)
        cluster.connect()
    assert len(it.told) == 1
