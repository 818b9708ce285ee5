"""`make chaos`: a sweep that ends well although something is killed every few seconds.

Victims are drawn with a seed: the driver, a worker, a raylet, the tracking server. When a sweep has
ended before CHAOS_KILLS kills were made, the next round begins in a new home. OK is printed only if
every round's runs, scores and table are the same, byte for byte, as without faults.
"""

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
ENDS = {"worker": set(), "driver": {-9}, "raylet": {1, 2}, "tracking server": {2}}


@dataclass
class Chaos:
    """One seeded series of kills."""

    folder: Path
    reference: Sweep  # one that ran without faults
    kills: int
    seed: int
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
            self.one_round(Sweep(self.folder / f"round{rounds}", self.reference.text))
            print(f"round {rounds}: as without faults after {self.num_made} kills", flush=True)
        victims = ", ".join(f"{count} {name}" for name, count in sorted(self.made.items()))
        print(f"kills {self.num_made} ({victims}), launches {self.launches}, rounds {rounds}")
        print(f"retries {self.retries}, epochs lost at most {self.epochs_lost}", flush=True)

    def one_round(self, sweep: Sweep) -> None:
        """Kill and launch again until the sweep has ended; then compare."""
        folder = self.folder / f"{sweep.home.name}-mlflow"
        folder.mkdir()
        with MlflowServer(f"sqlite:///{folder}/server.db", folder) as server:
            sweep.environment = {"OSR_TRACKING_URI": server.uri}
            ended = False
            while not ended:
                ended, printed = self.launch(sweep, server)
            if "MLflow is not up to date" in printed:
                assert sweep.osr("sync", "faults").returncode == 0
                assert sweep.osr("export", "faults").returncode == 0
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
        for file in (sweep.home / "store" / "work").glob("*.progress"):
            try:
                if file.stat().st_mtime < since:
                    continue
                epochs = int(file.read_text().split('"epochs_done": ')[1].split(",")[0])
                saved = sweep.store.attempts.load_checkpoint(file.stem)
                if saved is not None:
                    epochs -= from_bytes(saved)[1]["progress"]["epoch"]
            except (OSError, IndexError):
                continue  # it has just ended
            lost += max(0, epochs)
        return lost


def main() -> None:
    """CHAOS_KILLS (50) and CHAOS_SEED (1) come from the environment."""
    prepare_environment()  # also of the tracking servers
    kills, seed = int(os.environ.get("CHAOS_KILLS", "50")), int(os.environ.get("CHAOS_SEED", "1"))
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        reference = Sweep(Path(folder) / "reference", SPEC)
        done = reference.finish()
        try:
            assert done.returncode == 0, done.stderr
            Chaos(Path(folder), reference, kills, seed).run()
        except AssertionError as problem:
            sys.exit(f"NOT OK (seed {seed}): {problem}")
    print(f"seed {seed}, {time.monotonic() - start:.0f} s: OK")


if __name__ == "__main__":
    main()
