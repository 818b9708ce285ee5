"""What commands show on terminals of 80 and 120 columns, as stored text."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from sweeps.commands import doctor
from sweeps.commands.app import app
from sweeps.commands.doctor import Finding
from sweeps.store.store import Store
from tests.sweeps.commands.handmade_sweep import made_by_hand, stage_id
from tests.terminal import check_picture, shown

WIDTHS = (80, 120)
LISTINGS = {  # by picture, the words behind `osr`
    "datasets": "datasets",
    "datasets-one": "datasets cifar+10",
    "methods": "methods",
    "methods-one": "methods pmal",
    "splits": "splits",
    "splits-one": "splits digits",
    "cost": "cost digits digits_search",
    "plan": "plan digits",
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an empty folder, with no data but what the package brings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OSR_DATA", str(tmp_path))
    monkeypatch.delenv("OSR_HOME", raising=False)


def osr(words: str) -> Callable[[], None]:
    """The command, as typed."""
    return lambda: app(words.split(), standalone_mode=False)


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("name", LISTINGS)
def test_a_listing_fits_the_terminal(name: str, columns: int):
    """Nothing is broken within a word, and nothing runs out to the right."""
    check_picture(name, columns, shown(osr(LISTINGS[name]), columns))


@pytest.mark.parametrize("columns", WIDTHS)
def test_doctor_fits_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch):
    """Its findings are of each machine, so these are made up."""
    findings = [
        Finding("python", "ok", "3.11.7"),
        Finding(
            "ray authentication",
            "note",
            "/home/me/.ray/auth_token exists: for a cluster made by `ray start`, set "
            "RAY_AUTH_MODE=token",
        ),
        Finding("store", "fault", "/mnt/results cannot be written. Choose another --home."),
        Finding("data cifar10", "note", "no train images, no test images"),
    ]
    monkeypatch.setattr(doctor, "examine", lambda home, data_root: findings)
    check_picture("doctor", columns, shown(osr("doctor"), columns))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A sweep in which one stage is in each state."""
    made = made_by_hand(tmp_path / "osr-home")
    rows = [{"epoch": 3, "at": 2.0, "lr": 0.1}]
    made.attempts.save_progress(stage_id("fit", "cac", 0), 12, 1.0, rows, host="node-1")
    made.attempts.save_failure(stage_id("score", "cac", 0), "out of luck", "Traceback ...")
    made.orders.cancel("small", [stage_id("score", "mls", 1)])
    return made


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("words", ["status", "status small", "watch small", "queue"])
def test_what_is_said_of_sweeps_fits_the_terminal(store: Store, words: str, columns: int):
    """Of all sweeps, of one, and where none runs."""
    check_picture(words.replace(" ", "-"), columns, shown(osr(words), columns))


@pytest.mark.parametrize("columns", [20, 40])
def test_a_narrow_terminal_gets_blocks(columns: int):
    """With each word whole."""
    text = shown(osr("methods"), columns)
    assert "Mahalanobis" in text
    assert "  title" in text


def test_no_color_and_dumb_terminals_get_no_colours():
    """NO_COLOR asks for none; a dumb terminal would show the codes as letters."""
    coloured = [r"\x1b\[[0-9;]*3[0-7]", r"\x1b\["]
    for pattern, environment in zip(coloured, ({"NO_COLOR": "1"}, {"TERM": "dumb"}), strict=True):
        text = shown(osr("plan digits"), 80, **environment)
        assert "sweep digits" in text
        assert re.search(pattern, text) is None
