"""Commands that look: they make nothing, and can be read on a narrow terminal."""

import json
from itertools import takewhile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from osr_core.data import READERS
from osr_core.errors import ConfigError
from sweeps.commands import rehearsal
from sweeps.commands.app import app
from sweeps.store.files import StoreError
from sweeps.store.store import Store


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A start of Ray takes seconds, and a home in the working folder is somebody's own."""
    monkeypatch.setattr(rehearsal, "ray_starts", lambda: "starts")
    monkeypatch.setenv("OSR_HOME", str(tmp_path / "no-home"))


def osr(*words: str | Path, code: int = 0) -> str:
    """What a command prints on a terminal of 80 columns; its own errors are raised."""
    done = CliRunner().invoke(
        app, [str(word) for word in words], env={"COLUMNS": "80"}, catch_exceptions=False
    )
    assert done.exit_code == code, done.output
    return done.output


@pytest.mark.parametrize("words", [("doctor",), ("plan", "digits")], ids=["doctor", "plan"])
@pytest.mark.parametrize("there", [(), ("store",)], ids=["nothing", "an empty folder"])
def test_looking_makes_no_store(words: tuple[str, ...], there: tuple[str, ...], tmp_path: Path):
    """A store in a mistyped place would be taken for one, and a bucket may cost money."""
    for name in there:
        (tmp_path / name).mkdir()
    osr(*words, "--home", tmp_path)
    assert [path.name for path in tmp_path.rglob("*")] == [*there]


@pytest.mark.parametrize("words", [("status",), ("sync", "digits"), ("gc", "--yes")])
def test_looking_into_no_store_says_that_there_is_none(words: tuple[str, ...], tmp_path: Path):
    """An empty folder of its name is none."""
    (tmp_path / "store").mkdir()
    with pytest.raises(ConfigError, match=f"there is no store at {tmp_path / 'store'}"):
        osr(*words, "--home", tmp_path)
    assert list((tmp_path / "store").iterdir()) == []


def test_existing_store_is_opened_and_another_format_refused(tmp_path: Path):
    """As one that is opened to be written."""
    assert Store.existing(tmp_path) is None
    Store(tmp_path).save_sweep("a", {})
    found = Store.existing(tmp_path)
    assert found is not None
    assert found.sweeps() == ["a"]
    (tmp_path / "FORMAT").write_text("osr-sweeps store 99")
    with pytest.raises(StoreError, match="store 99"):
        Store.existing(tmp_path)


@pytest.mark.parametrize("uri", ["nowhere://x", "s3://"])
def test_store_that_no_file_system_knows_is_named(uri: str, monkeypatch: pytest.MonkeyPatch):
    """OSR_STORE may be mistyped."""
    monkeypatch.setenv("OSR_STORE", uri)
    with pytest.raises(ConfigError, match=f"OSR_STORE .*'{uri}'"):
        osr("status")


def findings(*words: str | Path, code: int = 0) -> dict[str, dict[str, str]]:
    """What the doctor found, by what was looked at."""
    rows = json.loads(osr("doctor", "--json", *words, code=code))
    return {row["check"]: row for row in rows}


def test_store_that_cannot_be_made_is_a_fault(tmp_path: Path):
    """The doctor says so before a sweep does."""
    (tmp_path / "file").write_text("")
    found = findings("--home", tmp_path / "file", code=1)
    assert found["store"]["state"] == "fault"
    assert "cannot be written" in found["store"]["detail"]


@pytest.mark.parametrize("name", ["store", "mlflow", "exports", "ray"])
def test_a_file_in_the_place_of_a_homes_folder_is_a_fault(name: str, tmp_path: Path):
    """The home itself can be written, and a run would end when it comes to that folder."""
    (tmp_path / name).write_text("")
    found = findings("--home", tmp_path, code=1)["store" if name == "store" else "home"]
    assert found["state"] == "fault"
    assert found["detail"] == f"{tmp_path / name} cannot be written. Choose another --home."


def test_a_cache_that_cannot_be_kept_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Every sweep on encoded images would end at its first one."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("OSR_CACHE", str(tmp_path / "file" / "deeper"))
    found = findings("--home", tmp_path, code=1)["cache"]
    assert found["state"] == "fault"
    assert "images cannot be kept in" in found["detail"]
    assert "Point OSR_CACHE at a folder" in found["detail"]


def test_doctor_tells_data_that_is_wrong_from_data_that_is_absent(tmp_path: Path):
    """Else a user is sent to fetch what lies there."""
    (tmp_path / "tiny-imagenet-200" / "train" / "mine").mkdir(parents=True)
    found = findings("--home", tmp_path, "--data-root", tmp_path)["data tinyimagenet"]
    assert "holds the folder mine, which is none of TinyImageNet's" in found["detail"]
    assert found["detail"].endswith(", no test images")


def test_doctor_says_which_data_is_here(tmp_path: Path):
    """Without a folder it says that once, not for each data set."""
    without = findings("--home", tmp_path)
    assert {name for name in without if "data" in name} == {"data", "data digits"}
    assert without["data"]["detail"] == "no folder is given: --data-root or OSR_DATA"
    gone = findings("--home", tmp_path, "--data-root", tmp_path / "gone")
    assert gone["data"]["detail"].startswith(f"{tmp_path / 'gone'} is no folder")
    (tmp_path / "svhn").mkdir()
    (tmp_path / "svhn" / "test_32x32.mat").write_text("")
    found = findings("--home", tmp_path, "--data-root", tmp_path)
    assert found["data svhn"] == {
        "check": "data svhn",
        "state": "note",
        "detail": "no train images",
    }
    assert found["data mnist"]["detail"] == "no train images, no test images"


@pytest.mark.parametrize("command", ["doctor", "datasets"])
def test_listing_has_a_line_for_each_data_set(command: str, tmp_path: Path):
    """At 80 columns; words are whole."""
    text = osr(command, "--data-root", tmp_path)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    for name in READERS:
        assert any(name in line.split() for line in lines), name
    rule = next(number for number, line in enumerate(lines) if "───" in line)
    rows = list(takewhile(str.strip, lines[rule + 1 :]))
    assert len(rows) >= len(READERS)
    assert all(row[2] != " " for row in rows[-len(READERS) :])  # none goes on in the next line
