"""Real processes for the fault tests, and what must hold after each fault."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlflow
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from mlflow.entities import ViewType

from osr_core.tensors import from_bytes
from sweeps.launch.reaper import runs
from sweeps.store.store import Store

ROOT = Path(__file__).parents[2]
SPEC = """\
name: faults
datasets: [digits]
splits: [0]
backbone: {width: 0.125}
training: {epochs: 8, batch_size: 32, warmup_epochs: 1, augmentation: {crop_padding: 1}}
resources: {checkpoint_every_s: 0}
methods: {softmax: {}, mls: {}, openmax: {}, cac: {}, pmal: {}}
"""
NUM_STAGES, NUM_FITS, NUM_EPOCHS = 11, 4, 8
WAIT_S = 240


def wait_until(holds: Callable[[], object], what: str, timeout: float = WAIT_S) -> None:
    """Poll until something holds; an assertion names it otherwise."""
    deadline = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < deadline, f"waited {timeout:.0f} s for {what}"
        time.sleep(0.05)


@dataclass
class Sweep:
    """A small sweep in a home of its own, run by the real command."""

    home: Path
    text: str = SPEC
    environment: Mapping[str, str] = field(default_factory=dict)
    drivers: list[subprocess.Popen[str]] = field(default_factory=list)

    def command(self, *arguments: str) -> list[str]:
        """`osr run` on this sweep's spec."""
        spec = self.home.parent / f"{self.home.name}.yaml"
        spec.write_text(self.text)
        base = [sys.executable, "-m", "sweeps", "run", str(spec), "--home", str(self.home)]
        return [*base, *arguments]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A driver that goes on in the background; its output goes to a file beside the home."""
        with (self.home.parent / f"{self.home.name}.log").open("a") as log:
            driver = subprocess.Popen(
                self.command(*arguments),
                stdout=log,
                stderr=log,
                text=True,
                start_new_session=True,
                env={**os.environ, **self.environment},
                cwd=ROOT,
            )
        self.drivers.append(driver)
        return driver

    def started_and_killed(self) -> None:
        """A driver that dies in the middle."""
        driver = self.start()
        wait_until(lambda: len(self.commits) >= 2, "two commits")
        driver.kill()
        driver.wait()

    def finish(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A driver that runs to its end."""
        return self.osr_command(self.command(*arguments))

    def osr(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Any other command on this home."""
        base = [sys.executable, "-m", "sweeps", *arguments, "--home", str(self.home)]
        return self.osr_command(base)

    def osr_command(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a command in this sweep's environment."""
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=WAIT_S,
            env={**os.environ, **self.environment},
            cwd=ROOT,
        )

    def with_code(self, code: str) -> None:
        """Run `code` at the start of every Python process of this sweep from now on."""
        folder = self.home.parent / "code"
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(code)
        path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        self.environment = {**self.environment, "PYTHONPATH": path}

    @property
    def store(self) -> Store:
        """Where its results are."""
        return Store(self.home / "store")

    @property
    def stages(self) -> dict[str, dict[str, Any]]:
        """What the plan says of each stage, by id."""
        record = json.loads((self.home / "store" / "sweeps" / "faults.json").read_text())
        return {stage["stage_id"]: stage for stage in record["stages"]}

    def folder(self, label: str) -> Path:
        """Where the result of a stage lies."""
        (stage_id,) = [i for i, s in self.stages.items() if s["label"].startswith(label)]
        return self.home / "store" / "stages" / stage_id[:2] / stage_id

    @property
    def log(self) -> str:
        """What background drivers have printed."""
        return (self.home.parent / f"{self.home.name}.log").read_text()

    @property
    def commits(self) -> dict[str, dict[str, Any]]:
        """Markers by stage id."""
        found = (self.home / "store" / "stages").glob("*/*/commit.json")
        return {path.parent.name: json.loads(path.read_text()) for path in found}

    @property
    def under_way(self) -> list[str]:
        """Ids of fits that have an epoch behind them and are not done."""
        ids = [path.stem for path in (self.home / "store" / "work").glob("*.progress")]
        notes = self.store.attempts.progress(ids) if ids else {}
        return [stage_id for stage_id, note in notes.items() if note["epochs_done"]]

    @property
    def retries(self) -> list[str]:
        """Why attempts were repeated."""
        found = (self.home / "store" / "retries").glob("*.json")
        return [attempt["cause"] for path in found for attempt in json.loads(path.read_text())]

    @property
    def checkpoints(self) -> list[Path]:
        """States of unfinished fits."""
        return list((self.home / "store" / "work").glob("*.checkpoint"))

    def export(self, name: str) -> bytes:
        """The bytes of an exported file."""
        return (self.home / "exports" / "faults" / name).read_bytes()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def kill_all(processes: list[psutil.Process], number: int = signal.SIGKILL) -> None:
    """Send a signal to all that are still there."""
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue


def family(pid: int) -> list[psutil.Process]:
    """A driver with all processes below it, Ray's and its workers."""
    try:
        driver = psutil.Process(pid)
        return [driver, *driver.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def workers(pid: int) -> list[psutil.Process]:
    """The processes that run stages for a driver."""
    return [process for process in family(pid) if "Trainable.train" in title(process)]


def title(process: psutil.Process) -> str:
    """A process's command line; empty once it is gone."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def alive(processes: list[psutil.Process]) -> list[str]:
    """Those that still run."""
    return [title(process) for process in processes if runs(process)]


def walls_of(history: list[dict[str, Any]]) -> list[float]:
    """The measured time of each epoch: no second attempt at an epoch repeats it."""
    return [row["value"] for row in history if row["metric"] == "wall_s"]


def saved_walls(sweep: Sweep) -> dict[str, list[float]]:
    """By stage id, the times of the epochs that its checkpoint holds."""
    attempts = sweep.store.attempts
    found = {file.stem: attempts.load_checkpoint(file.stem) for file in sweep.checkpoints}
    return {
        stage_id: [row["wall_s"] for row in from_bytes(content)[1]["progress"]["history"]]
        for stage_id, content in found.items()
        if content is not None
    }


def check_resumed(sweep: Sweep, saved: Mapping[str, list[float]]) -> None:
    """Fits went on from their checkpoints; ones begun again would give the same weights."""
    assert any(saved.values()), "nothing was saved"
    for stage_id, walls in saved.items():
        done = walls_of(rows_of(sweep.store.read(stage_id, "history.parquet")))
        assert done[: len(walls)] == walls, f"{sweep.stages[stage_id]['label']} was begun again"
        assert len(done) == NUM_EPOCHS


def check_invariants(sweep: Sweep, reference: Sweep, *, clock: bool = True) -> None:
    """What must hold after every fault, once the sweep has been run to its end."""
    stages, commits = sweep.stages, sweep.commits
    assert stages.keys() <= commits.keys(), "a stage has no result"
    assert sweep.checkpoints == [], "a finished fit left its checkpoint"
    for stage in stages.values() if clock else ():
        begun = commits[stage["stage_id"]]["started_at"]
        for upstream in stage["inputs"]:
            assert committed_at(sweep, upstream) <= begun, (
                f"{stage['label']} was started before its input was committed"
            )
    check_results(sweep, reference)
    assert not list((sweep.home / "ray").rglob("error.pkl")), "a pickle that would be read back"
    check_mlflow(sweep, set(stages))
    for name in ("runs.parquet", "scores.parquet"):
        assert sweep.export(name) == reference.export(name), f"{name} differs"
    ours, theirs = sweep.osr("table", "faults"), reference.osr("table", "faults")
    assert (ours.returncode, theirs.returncode) == (0, 0), ours.stderr + theirs.stderr
    assert "| method" in theirs.stdout
    assert ours.stdout == theirs.stdout


def committed_at(sweep: Sweep, stage_id: str) -> float:
    """When a stage's marker was written."""
    return (sweep.home / "store/stages" / stage_id[:2] / stage_id / "commit.json").stat().st_mtime


def check_results(sweep: Sweep, reference: Sweep) -> None:
    """Every artifact is whole, the only one of its stage, and as without faults but for times."""
    for stage_id, stage in sweep.stages.items():
        ours, theirs = sweep.store.read_all(stage_id), reference.store.read_all(stage_id)
        folder = sweep.home / "store" / "stages" / stage_id[:2] / stage_id
        assert len(list(folder.glob("[!.]*"))) == 1 + len(ours), "another attempt left something"
        names = (ours.keys() | theirs.keys()) - {"machine.parquet"}  # a short stage leaves none
        assert names <= ours.keys() & theirs.keys()
        for name in names:
            assert untimed(name, ours[name]) == untimed(name, theirs[name]), (
                f"{name} of {stage['label']} differs"
            )


def untimed(name: str, content: bytes) -> object:
    """An artifact without what a clock has measured."""
    if name != "history.parquet":
        return content
    return [row for row in rows_of(content) if row["metric"] != "wall_s"]


def rows_of(content: bytes) -> list[dict[str, Any]]:
    """The rows of an artifact in Parquet."""
    rows: list[dict[str, Any]] = pq.read_table(pa.BufferReader(content)).to_pylist()
    return rows


def mlflow_runs(sweep: Sweep, view: int = ViewType.ACTIVE_ONLY) -> list[mlflow.entities.Run]:
    """The runs in the sweep's experiment."""
    client, experiment_id = mlflow_of(sweep)
    return list(client.search_runs([experiment_id], run_view_type=view, max_results=1000))


def mlflow_of(sweep: Sweep) -> tuple[mlflow.MlflowClient, str]:
    """A client, and the id of the sweep's experiment."""
    uri = sweep.environment.get("OSR_TRACKING_URI", f"sqlite:///{sweep.home}/mlflow/mlflow.db")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of SQLAlchemy about MLflow
        client = mlflow.MlflowClient(uri)
        return client, client.get_experiment_by_name("faults").experiment_id


def check_mlflow(sweep: Sweep, stage_ids: set[str]) -> None:
    """One finished run per stage, one for the sweep, each metric point once; none made twice."""
    client, _ = mlflow_of(sweep)
    runs = mlflow_runs(sweep)
    assert Counter(run.info.status for run in runs) == {"FINISHED": len(stage_ids) + 1}
    of_stages = Counter(run.data.tags.get("stage_id") for run in runs)
    assert of_stages == Counter([*stage_ids, None])
    deleted = mlflow_runs(sweep, ViewType.DELETED_ONLY)
    attempts = {(run.data.tags.get("stage_id"), run.info.start_time) for run in runs}
    gone = {(run.data.tags.get("stage_id"), run.info.start_time) for run in deleted}
    assert not attempts & gone, "a run was made twice and deleted"
    fits = [run for run in runs if run.data.tags["kind"] == "fit"]
    assert fits
    assert all("lr" in run.data.metrics for run in fits), "a fit has no history"
    for run in runs:
        for name in run.data.metrics:
            steps = [m.step for m in client.get_metric_history(run.info.run_id, name)]
            assert len(set(steps)) == len(steps), f"a point of {name} is doubled"
            if name == "lr":
                assert sorted(steps) == list(range(1, NUM_EPOCHS + 1)), "an epoch is missing"
