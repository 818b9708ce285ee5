"""What a stage tells is in the store while it runs, costs no epoch, and fails no stage."""

import logging
import re
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from osr_core.context import Context, Result
from osr_core.kinds import NOOP
from osr_core.stage import Stage
from sweeps.planning.data import plan_with_data
from sweeps.planning.spec import parse_spec
from sweeps.running import stage_log, worker
from sweeps.running.outcome import Cause
from sweeps.running.stage_log import StageLog
from sweeps.running.worker import work
from sweeps.running.workplace import Workplace
from sweeps.store.attempts import Attempts
from sweeps.store.files import FileError
from sweeps.store.leases import FencedError
from sweeps.store.store import Store
from tests.sweeps.running.test_stopped_stages import SPEC
from tests.sweeps.small import ID

IDLE = Stage(kind=NOOP, config={"method": {"name": "noop"}})


@pytest.fixture
def attempts(tmp_path: Path) -> Attempts:
    """Of an empty store."""
    return Store(tmp_path).attempts


def begun(attempts: Attempts, started_at: float = 0.0) -> StageLog:
    """An attempt at a fit of four epochs."""
    return StageLog(attempts, ID, 4, started_at=started_at, host="here:17")


def attempt(folder: Path, stage: Stage = IDLE) -> worker.Outcome:
    """By a worker in this process."""
    place = Workplace(store=str(folder), data_root=None)
    return work(stage.id, {stage.id: stage.identity}, place)


def has_rows(note: dict[str, Any]) -> bool:
    """Whether a note tells of an epoch."""
    return bool(note["rows"])


def wait_for(told: Any) -> Any:
    """What a function gives as soon as it is not empty."""
    until = time.monotonic() + 60
    while not (given := told()) and time.monotonic() < until:
        time.sleep(0.01)
    return given


def test_a_fits_log_has_a_line_for_each_epoch(tmp_path: Path):
    """With the losses that its history keeps in full, when and where it began, and the end."""
    plan = plan_with_data(parse_spec(SPEC, "small"), None)
    fit = next(stage for stage in plan.stages.values() if stage.kind.name == "fit")
    assert attempt(tmp_path, fit).cause is None
    store = Store(tmp_path)
    first, *epochs, last = store.attempts.log(fit.id).splitlines()
    commit = store.read_commit(fit.id)
    began = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(commit.started_at))
    assert first == f"attempt began {began} UTC on {commit.host}"
    history = pq.read_table(pa.BufferReader(store.read(fit.id, "history.parquet"))).to_pylist()
    losses = [row["value"] for row in history if row["metric"] == "train/cross_entropy"]
    forms = [
        rf"epoch={epoch}/3 cross_entropy={loss:.4g} lr=\S+ wall_s=\d+\.\d"
        for epoch, loss in enumerate(losses, start=1)
    ]
    assert all(re.fullmatch(form, line) for form, line in zip(forms, epochs, strict=True)), epochs
    assert re.fullmatch(r"done wall_s=\d+\.\d", last)


def test_the_marker_has_the_times_that_were_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """In order, and within the attempt."""
    plan = plan_with_data(parse_spec(SPEC, "small"), None)
    fit = next(stage for stage in plan.stages.values() if stage.kind.name == "fit")
    attempt(tmp_path, fit)
    commit = Store(tmp_path).read_commit(fit.id)
    times = [commit.started_at, *commit.epochs_at, commit.started_at + commit.wall_s + 0.1]
    assert (len(commit.epochs_at), times) == (3, sorted(times))
    assert Store(tmp_path).attempts.progress([fit.id]) == {}


def test_attempts_follow_each_other_with_what_ended_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The traceback of the first stays when the second succeeds."""
    failures, run_stage = [RuntimeError("bad luck")], worker.run_stage

    def run(kind: str, config: Any, context: Context) -> Result:
        if failures:
            raise failures.pop()
        return run_stage(kind, config, context)

    monkeypatch.setattr(worker, "run_stage", run)
    assert [attempt(tmp_path).cause for _ in range(2)] == [Cause.ERROR, None]
    lines = Store(tmp_path).attempts.log(IDLE.id).splitlines()
    began = [number for number, line in enumerate(lines) if line.startswith("attempt began")]
    assert (began[0], len(began)) == (0, 2)
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[began[1] - 1] == "RuntimeError: bad luck"
    assert lines[-1].startswith("done ")


@pytest.fixture
def unheeded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A stage that warns, in a process where nothing has shown warnings yet."""

    def run(kind: str, config: Any, context: Context) -> Result:
        warnings.warn("the lr is high", UserWarning, stacklevel=1)
        logging.getLogger("osr_core.data").warning("no cache at %s", "/here")
        logging.getLogger("osr_core.data").info("all is well")
        return Result({})

    monkeypatch.setattr(worker, "run_stage", run)
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("default")
        yield


@pytest.mark.usefixtures("unheeded")
def test_every_stage_of_a_process_tells_of_its_warnings(tmp_path: Path):
    """Python shows a warning once; what is no warning is not told."""
    for number in range(2):
        stage = Stage(kind=NOOP, config={"number": number})
        attempt(tmp_path, stage)
        _, python, logged, _ = Store(tmp_path).attempts.log(stage.id).splitlines()
        assert python.startswith("UserWarning: the lr is high (")
        assert logged == "WARNING osr_core.data: no cache at /here"
    before = logging.getLogger().handlers.copy()
    attempt(tmp_path, Stage(kind=NOOP, config={}))
    assert logging.getLogger().handlers == before


def test_a_flood_of_warnings_is_cut(attempts: Attempts, monkeypatch: pytest.MonkeyPatch):
    """One per batch would fill the store."""
    monkeypatch.setattr(stage_log, "MOST_WARNINGS", 3)
    with begun(attempts):
        for number in range(100):
            logging.getLogger("flood").warning("%s", number)
    words = [line.split()[-1] for line in attempts.log(ID).splitlines()[1:-1]]
    assert words == ["0", "1", "2", "out"]


def test_what_is_told_can_be_read_while_the_stage_runs(attempts: Attempts):
    """The first epoch at once; a fit that has none yet within a second."""
    with begun(attempts, 3.5) as told:
        note = wait_for(lambda: attempts.progress_of(ID))
        assert (note["epochs_done"], note["num_epochs"], note["rows"]) == (0, 4, [])
        told.report(1, {"train/loss": 0.5, "wall_s": 8.14})
        note = wait_for(lambda: next(filter(has_rows, [attempts.progress_of(ID)]), None))
        assert (note["epochs_done"], note["started_at"]) == (1, 3.5)
        (row,) = note["rows"]
        assert row == {"epoch": 1, "at": told.rows[0]["at"], "train/loss": 0.5, "wall_s": 8.14}
        assert attempts.log(ID).splitlines()[1] == "epoch=1/4 loss=0.5 wall_s=8.1"


def test_fast_epochs_are_written_together(attempts: Attempts, monkeypatch: pytest.MonkeyPatch):
    """A thousand of them while nothing may be written a second time: all are told at the end."""
    monkeypatch.setattr(stage_log, "EVERY_S", 60.0)
    saved: list[int] = []
    save_log = Attempts.save_log

    def counted(self: Attempts, stage_id: str, text: str) -> None:
        saved.append(text.count("epoch="))
        save_log(self, stage_id, text)

    monkeypatch.setattr(Attempts, "save_log", counted)
    with begun(attempts) as told:
        for epoch in range(1, 1001):
            told.report(epoch, {"train/loss": 0.5})
    assert (len(saved) <= 2, saved[-1]) == (True, 1000)


def test_a_resumed_fit_keeps_the_times_of_what_it_goes_on_from(attempts: Attempts):
    """It had told of three epochs and saved two; until it tells of one, the old note stays."""
    with suppress(RuntimeError), begun(attempts, 1.0) as told:
        for epoch in (1, 2, 3):
            told.report(epoch, {"train/loss": float(epoch)})
        raise RuntimeError("killed")
    before = attempts.progress_of(ID)
    assert [row["epoch"] for row in before["rows"]] == [1, 2, 3]
    with suppress(RuntimeError), begun(attempts, 2.0):
        raise RuntimeError("at once")
    assert attempts.progress_of(ID) == before
    with begun(attempts, 3.0) as told:
        told.report(3, {"train/loss": 3.0})
        after = wait_for(
            lambda: attempts.progress_of(ID)["started_at"] == 3.0 and attempts.progress_of(ID)
        )
    assert after["rows"][:2] == before["rows"][:2]
    assert after["rows"][2]["at"] > before["rows"][2]["at"]
    assert told.epochs_at == [row["at"] for row in after["rows"]] + [None]


@pytest.mark.parametrize("error", [FileError("full"), ValueError("odd")], ids=["disk", "other"])
def test_a_store_that_takes_no_notes_fails_no_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
):
    """Nor one that gives none."""

    def fail(*given: Any) -> None:
        raise error

    for name in ("save_log", "save_progress", "log", "progress_of"):
        monkeypatch.setattr(Attempts, name, fail)
    plan = plan_with_data(parse_spec(SPEC, "small"), None)
    fit = next(stage for stage in plan.stages.values() if stage.kind.name == "fit")
    assert attempt(tmp_path, fit).cause is None
    assert len(Store(tmp_path).read_commit(fit.id).epochs_at) == 3


def test_a_worker_of_a_driver_that_was_taken_over_tells_nothing_more(attempts: Attempts):
    """The other driver's worker has begun to tell of the same stage."""
    with suppress(FencedError), begun(attempts):
        attempts.save_log(ID, "the other's\n")
        raise FencedError("taken over")
    assert attempts.log(ID) == "the other's\n"
