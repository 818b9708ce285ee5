"""Real processes for the fault tests."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil

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
RARE = SPEC.replace("checkpoint_every_s: 0", "checkpoint_every_s: 600")  # only when asked to save
ONE_FIT = RARE.partition("methods:")[0] + "methods: {softmax: {}}\n"
NUM_STAGES, NUM_FITS, NUM_EPOCHS = 11, 4, 8
WAIT_S = 600  # for what takes a minute on a machine of its own
AT_ONCE = min(2, os.cpu_count() or 1)  # fits that run side by side
# Runs at the start of each process: what ends within its time there has not been cut off.
PATIENT = "from sweeps.launch import shutdown\nshutdown.GRACE_S = 3600\n"
# In workers: a fit waits after each epoch, while a file is there, until it is told to stop.
LINGERING = """
import sys

if any("default_worker" in word for word in sys.orig_argv):
    import time
    from pathlib import Path
    from sweeps.running.checkpoint import StoreCheckpoint

    due, save, sign = StoreCheckpoint.due, StoreCheckpoint.save, Path({sign!r})

    def late(checkpoint):
        while not (is_due := due(checkpoint)) and sign.exists():
            time.sleep(0.1)
        return is_due

    def saved(checkpoint, content):
        save(checkpoint, content)
        while checkpoint._stop() is None and sign.exists():
            time.sleep(0.1)

    StoreCheckpoint.due, StoreCheckpoint.save = late, saved
"""


def wait_until(holds: Callable[[], object], what: str, timeout: float = WAIT_S) -> None:
    """Poll until something holds; an assertion names it otherwise."""
    deadline = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < deadline, f"waited {timeout:.0f} s for {what}"
        time.sleep(0.05)


STARTED: "list[Sweep]" = []  # with a driver in the background, by the test that runs now


@dataclass
class Sweep:
    """A small sweep in a home of its own, run by the real command."""

    home: Path
    text: str = SPEC
    environment: Mapping[str, str] = field(default_factory=dict)
    drivers: list[subprocess.Popen[Any]] = field(default_factory=list)

    def command(self, *arguments: str) -> list[str]:
        """`osr run` on this sweep's spec."""
        spec = self.home.parent / f"{self.home.name}.yaml"
        spec.write_text(self.text)
        base = [sys.executable, "-m", "sweeps", "run", str(spec), "--home", str(self.home)]
        return [*base, *arguments]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A driver that goes on in the background; its output goes to a file beside the home."""
        with self.log_file.open("a") as log:
            driver = subprocess.Popen(
                self.command(*arguments),
                stdout=log,
                stderr=log,
                text=True,
                start_new_session=True,
                env={**os.environ, **self.environment},
                cwd=ROOT,
            )
        self.has(driver)
        return driver

    def has(self, driver: subprocess.Popen[Any]) -> None:
        """It ends with its test."""
        self.drivers.append(driver)
        STARTED.append(self)

    def started_and_killed(self) -> None:
        """A driver that dies in the middle."""
        driver = self.start()
        wait_until(lambda: len(self.commits) >= 2, "two commits")
        driver.kill()
        driver.wait()

    def end(self) -> None:
        """Nothing of it is left, whatever state it was in."""
        for driver in self.drivers:
            kill_all(family(driver.pid))
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
        folder.mkdir(exist_ok=True)
        with (folder / "sitecustomize.py").open("a") as file:
            file.write(code)
        path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        self.environment = {**self.environment, "PYTHONPATH": path}

    @property
    def sign(self) -> Path:
        """While this file is there, fits linger."""
        return self.home.parent / f"{self.home.name}.linger"

    def linger(self) -> None:
        """Let no fit end before it is told to: one of these is over in a second."""
        self.sign.touch()
        self.with_code(LINGERING.format(sign=str(self.sign)))

    def hurry(self) -> None:
        """Let fits end by themselves from now on."""
        self.sign.unlink()

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
        return self.log_file.read_text()

    @property
    def log_file(self) -> Path:
        """Where they print."""
        return self.home.parent / f"{self.home.name}.log"

    @property
    def commits(self) -> dict[str, dict[str, Any]]:
        """Markers by stage id."""
        found = (self.home / "store" / "stages").glob("*/*/commit.json")
        return {path.parent.name: json.loads(path.read_text()) for path in found}

    @property
    def done(self) -> list[dict[str, Any]]:
        """What the plan says of each committed stage."""
        return [self.stages[stage_id] for stage_id in self.commits]

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

    @cached_property
    def table(self) -> str:
        """What `osr table` prints of it, once it has ended."""
        done = self.osr("table", "faults")
        assert done.returncode == 0, done.stderr
        return done.stdout

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


def check_nothing_is_left(processes: list[psutil.Process]) -> None:
    """Of a driver's family nobody is there any more once its reaper has ended."""
    reapers = [process for process in processes if "sweeps.launch.reaper" in title(process)]
    wait_until(lambda: not alive(reapers), "the reaper to end")
    left = alive(processes)
    assert not left, f"left behind: {left}"
