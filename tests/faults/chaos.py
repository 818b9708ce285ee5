"""`make chaos`: a sweep that ends well although something is killed every few seconds.

Victims are drawn with a seed: the driver, a worker, a raylet, the tracking server. When a sweep has
ended before CHAOS_KILLS kills were made, the next round begins in a new home. OK is printed only if
every round's runs, scores and table are the same, byte for byte, as without faults. With
CHAOS_STORE=bucket the disturbed sweeps have their store in a bucket, on a real S3 server.
"""

import contextlib
import os
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from osr_core.tensors import from_bytes
from sweeps.environment import prepare_environment
from sweeps.store.layout import stage_of
from sweeps.store.store import Store
from tests.bucket import KEYS, s3_server, uri
from tests.faults.harness import Sweep, family, title, workers
from tests.faults.invariants import check_invariants
from tests.faults.server import MlflowServer

SPEC = """\
name: faults
datasets: [digits]
splits: [0, 1, 2]
backbone: {width: 0.125}
training: {epochs: 8, batch_size: 32, warmup_epochs: 1, augmentation: {crop_padding: 1}}
resources: {checkpoint_every_s: 0.5}
methods: {softmax: {}, mls: {}, openmax: {}, cac: {}, pmal: {}}
"""
PAUSE_S = (2.0, 7.0)
VICTIMS = ("worker", "worker", "driver", "raylet", "tracking server")
# How a driver may end when such a one was killed, besides well: killed, failed stages, no Ray.
ENDS = {"worker": set(), "driver": {-9}, "raylet": {1, 3}, "tracking server": {3}}


@dataclass
class BucketSweep(Sweep):
    """A sweep with its store in a bucket; what is to be looked at is copied to its home first."""

    bucket: str = ""

    @property
    def store(self) -> Store:
        """Where its results are."""
        return Store(self.bucket)

    def fetch(self) -> None:
        """Bring the store's files to where those of a folder would be, with their times."""
        for top in ("stages", "work", "retries", "failures", "damaged", "sweeps"):
            for file in self.store.files(top):
                path = self.home / "store" / file.name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self.store._files.read(file.name) or b"")
                os.utime(path, (file.written_at, file.written_at))


@dataclass
class Chaos:
    """One seeded series of kills."""

    folder: Path
    reference: Sweep  # one that ran without faults
    kills: int
    seed: int
    s3_port: int | None = None  # of a server for the disturbed sweeps' stores
    made: dict[str, int] = field(default_factory=dict)
    epochs_lost: int = 0
    launches: int = 0
    retries: int = 0
    looked_at: float = 0.0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # when, and what kind
        self.chance = random.Random(self.seed)  # which of them; how many there are depends on time
        self.draw()

    def draw(self) -> None:
        """What is killed next, after which pause, once there is one of its kind."""
        self.pause = self.random.uniform(*PAUSE_S)
        self.victim = self.random.choice(VICTIMS)

    @property
    def num_made(self) -> int:
        """Kills so far."""
        return sum(self.made.values())

    def run(self) -> None:
        """Rounds until all kills are made; AssertionError says what is not as without faults."""
        rounds = 0
        while self.num_made < self.kills:
            rounds += 1
            self.one_round(self.sweep(f"round{rounds}"))
            print(f"round {rounds}: as without faults after {self.num_made} kills", flush=True)
        victims = ", ".join(f"{count} {name}" for name, count in sorted(self.made.items()))
        print(f"kills {self.num_made} ({victims}), launches {self.launches}, rounds {rounds}")
        print(f"retries {self.retries}, epochs lost at most {self.epochs_lost}", flush=True)

    def sweep(self, name: str) -> Sweep:
        """A new one to disturb."""
        home, text = self.folder / name, self.reference.text
        if self.s3_port is None:
            return Sweep(home, text)
        bucket = uri(self.s3_port, name)
        return BucketSweep(home, text, {"OSR_STORE": bucket}, bucket=bucket)

    def one_round(self, sweep: Sweep) -> None:
        """Kill and launch again until the sweep has ended; then compare."""
        folder = self.folder / f"{sweep.home.name}-mlflow"
        folder.mkdir()
        with MlflowServer(f"sqlite:///{folder}/server.db", folder) as server:
            sweep.environment = {**sweep.environment, "OSR_TRACKING_URI": server.uri}
            ended = False
            while not ended:
                ended, printed = self.launch(sweep, server)
            if "MLflow is not up to date" in printed:
                assert sweep.osr("sync", "faults").returncode == 0
                assert sweep.osr("export", "faults").returncode == 0
            if isinstance(sweep, BucketSweep):
                sweep.fetch()
            self.retries += len(sweep.retries)
            check_invariants(sweep, self.reference)

    def launch(self, sweep: Sweep, server: MlflowServer) -> tuple[bool, str]:
        """One driver, disturbed until it ends: whether the sweep has, and what was printed."""
        made_before, driver = dict(self.made), sweep.start()
        printed_before = len(sweep.log)
        self.launches += 1
        while driver.poll() is None:
            time.sleep(0.1)
            self.pause -= 0.1
            if self.pause <= 0 and self.num_made < self.kills:
                self.disturb(sweep, server, driver.pid)
        printed = sweep.log[printed_before:]
        killed = [victim for victim in self.made if self.made[victim] > made_before.get(victim, 0)]
        allowed = {0}.union(*(ENDS[victim] for victim in killed))
        assert driver.returncode in allowed, f"{killed} killed, {driver.returncode}:\n{printed}"
        assert "Traceback" not in printed, printed
        assert "is being run by process" not in printed, "a dead driver was taken for a living one"
        return driver.returncode == 0, printed

    def disturb(self, sweep: Sweep, server: MlflowServer, driver: int) -> None:
        """Kill the victim, if there is one now, and draw the next."""
        victim = self.victim
        if victim == "tracking server":
            server.kill()
            server.start()
        else:
            targets = self.candidates(victim, driver)
            if not targets:
                return
            lost = self.unsaved_epochs(sweep)
            try:
                self.chance.choice(targets).kill()
            except psutil.NoSuchProcess:
                return
            self.epochs_lost += lost
        self.made[victim] = self.made.get(victim, 0) + 1
        self.draw()

    def candidates(self, victim: str, driver: int) -> list[psutil.Process]:
        """The processes of that kind."""
        if victim == "worker":
            return workers(driver)
        if victim == "raylet":
            return [p for p in family(driver) if "raylet/raylet" in title(p)]
        return family(driver)[:1]

    def unsaved_epochs(self, sweep: Sweep) -> int:
        """Epochs that fits have made since the last kill but not saved; a worker loses of one."""
        lost, since, self.looked_at = 0, self.looked_at, time.time()
        store = sweep.store
        begun = {stage_of(f.name): f for f in store.files("work") if f.name.endswith(".progress")}
        for stage_id, note in store.attempts.progress(begun).items():
            if begun[stage_id].written_at < since:
                continue
            saved = store.attempts.load_checkpoint(stage_id)
            epochs = from_bytes(saved.content)[1]["progress"]["epoch"] if saved is not None else 0
            lost += max(0, note["epochs_done"] - epochs)
        return lost


def main() -> None:
    """CHAOS_KILLS (50), CHAOS_SEED (1) and CHAOS_STORE come from the environment."""
    prepare_environment()  # also of the tracking servers
    kills, seed = int(os.environ.get("CHAOS_KILLS", "50")), int(os.environ.get("CHAOS_SEED", "1"))
    start = time.monotonic()
    with contextlib.ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        port, store = None, os.environ.get("CHAOS_STORE", "folder")
        if store not in ("folder", "bucket"):
            sys.exit(f"CHAOS_STORE must be folder or bucket, not '{store}'")
        if store == "bucket":
            (folder / "s3").mkdir()
            port = opened.enter_context(s3_server(folder / "s3"))
            os.environ.update(KEYS)
        reference = Sweep(folder / "reference", SPEC)
        done = reference.finish()
        try:
            assert done.returncode == 0, done.stderr
            Chaos(folder, reference, kills, seed, port).run()
        except AssertionError as problem:
            sys.exit(f"NOT OK (seed {seed}): {problem}")
    print(f"seed {seed}, {time.monotonic() - start:.0f} s: OK")


if __name__ == "__main__":
    main()
