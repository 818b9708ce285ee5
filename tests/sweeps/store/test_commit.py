"""Markers of versions before and after this one are read, and say what they said."""

import json

from osr_core.identity import canonical_json, digest
from osr_core.results.commit import Commit
from tests.sweeps.small import IDENTITY

BEFORE = {
    "stage": IDENTITY,
    "artifacts": {},
    "metrics": {"x": 0.5},
    "started_at": 1.0,
    "wall_s": 2.0,
    "host": "here",
    "code": "1a2b3c4",
}


def marker(told: dict[str, object]) -> bytes:
    """As any version writes it."""
    return canonical_json({**told, "checksum": digest(told)}).encode()


def test_a_marker_from_before_says_nothing_of_its_machine():
    """And is written again as it was."""
    commit = Commit.decode(marker(BEFORE))
    assert (commit.machine, commit.epochs_at, commit.more) == ({}, [], {})
    assert (commit.metrics, commit.finished_at) == ({"x": 0.5}, 3.0)
    assert commit.encode() == marker(BEFORE)


def test_what_a_later_version_says_is_kept():
    """An older version on another machine must not lose it, nor refuse the result."""
    told = {**BEFORE, "machine": {"device": "cpu"}, "weather": {"wind": [3, None]}}
    commit = Commit.decode(marker(told))
    assert commit.more == {"weather": {"wind": [3, None]}}
    assert commit.machine == {"device": "cpu"}
    assert commit.encode() == marker(told)


def test_a_marker_holds_when_each_epoch_ended():
    """Points in MLflow carry these times; of one nobody may have noted it."""
    commit = Commit(**BEFORE, epochs_at=[1.25, None, 3.0])
    assert json.loads(commit.encode())["epochs_at"] == [1.25, None, 3.0]
    assert Commit.decode(commit.encode()) == commit
