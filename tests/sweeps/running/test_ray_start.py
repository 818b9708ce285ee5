"""Ray has the time to start that a busy machine needs."""

import inspect
import os

import pytest
from ray._private import node, services

from sweeps.environment import START_S
from sweeps.running import ray_start


class Clock:
    """Time passes only by waiting."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Head:
    """A cluster's head that learns of a node after a while."""

    def __init__(self, clock: Clock, after_s: float) -> None:
        self.clock, self.at = clock, clock.now + after_s

    def get_node(self, address: str, node: str) -> dict[str, str]:
        if self.clock.now < self.at:
            raise RuntimeError(f"{node} is not known")
        return {"at": address, "node": node}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """In place of the machine's."""
    mine = Clock()
    monkeypatch.setattr(ray_start, "time", mine)
    return mine


@pytest.mark.parametrize("after_s", [0.0, 31.0, START_S - 1.0])
def test_a_node_that_takes_long_is_waited_for(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, after_s: float
):
    """Ray itself stops looking after 30 s."""
    head = Head(clock, after_s)
    monkeypatch.setattr(services, "get_node", head.get_node)
    with ray_start.patient():
        assert services.get_node("head:1", "n") == {"at": "head:1", "node": "n"}
    assert services.get_node == head.get_node


def test_a_node_that_never_comes_is_what_ray_says_it_is(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    """Ray looks once more after this, and ends then."""
    head = Head(clock, after_s=10 * START_S)
    monkeypatch.setattr(services, "get_node", head.get_node)
    begin = clock.now
    with ray_start.patient(), pytest.raises(RuntimeError, match="n is not known"):
        services.get_node("head:1", "n")
    assert START_S <= clock.now - begin < START_S + 1
    assert services.get_node == head.get_node


def test_so_has_the_head():
    """Its port is waited for as the installed Ray is told."""
    name = "RAY_gcs_server_port_wait_time_s"
    assert int(os.environ.get(name, "")) == START_S
    assert f'os.environ.get("{name}"' in inspect.getsource(node)
