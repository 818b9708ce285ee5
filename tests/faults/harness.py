"""Real processes for the fault tests, and what must hold after each fault."""

import json
import os
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
NUM_STAGES = 11
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

    def command(self, *arguments: str) -> list[str]:
        """`osr run` on this sweep's spec."""
        spec = self.home.parent / f"{self.home.name}.yaml"
        spec.write_text(self.text)
        base = [sys.executable, "-m", "sweeps", "run", str(spec), "--home", str(self.home)]
        return [*base, *arguments]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A driver that goes on in the background; its output goes to a file beside the home."""
        with (self.home.parent / f"{self.home.name}.log").open("a") as log:
            return subprocess.Popen(
                self.command(*arguments),
                stdout=log,
                stderr=log,
                text=True,
                start_new_session=True,
                env={**os.environ, **self.environment},
                cwd=ROOT,
            )

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
    def under_way(self) -> list[Path]:
        """Fits that have an epoch behind them and are not done."""
        return list((self.home / "store" / "work").glob("*.progress"))

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
    return [
        title(process)
        for process in processes
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    ]


def check_invariants(sweep: Sweep, reference: Sweep, *, clock: bool = True) -> None:
    """What must hold after every fault, once the sweep has been run to its end."""
    record = json.loads((sweep.home / "store" / "sweeps" / "faults.json").read_text())
    stages = {stage["stage_id"]: stage for stage in record["stages"]}
    commits = sweep.commits
    assert stages.keys() <= commits.keys(), "a stage has no result"
    assert sweep.checkpoints == [], "a finished fit left its checkpoint"
    for stage_id, stage in stages.items():
        for upstream in stage["inputs"] if clock else ():
            assert commits[upstream]["finished_at"] <= commits[stage_id]["started_at"] + 1e-3, (
                f"{stage['label']} was started before its input was committed"
            )
    assert not list((sweep.home / "ray").rglob("error.pkl")), "a pickle that would be read back"
    check_mlflow(sweep, set(stages))
    for name in ("runs.parquet", "scores.parquet"):
        assert sweep.export(name) == reference.export(name), f"{name} differs"
    assert sweep.osr("table", "faults").stdout == reference.osr("table", "faults").stdout


def check_mlflow(sweep: Sweep, stage_ids: set[str]) -> None:
    """One finished run per stage, one for the sweep, each metric point once."""
    uri = sweep.environment.get("OSR_TRACKING_URI", f"sqlite:///{sweep.home}/mlflow/mlflow.db")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of SQLAlchemy about MLflow
        client = mlflow.MlflowClient(uri)
        experiment = client.get_experiment_by_name("faults")
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    assert Counter(run.info.status for run in runs) == {"FINISHED": len(stage_ids) + 1}
    of_stages = Counter(run.data.tags.get("stage_id") for run in runs)
    assert of_stages == Counter([*stage_ids, None])
    for run in runs:
        for name in run.data.metrics:
            steps = [m.step for m in client.get_metric_history(run.info.run_id, name)]
            assert len(set(steps)) == len(steps), f"a point of {name} is doubled"
            if name == "lr":
                assert sorted(steps) == list(range(1, 9)), "an epoch is missing"
