"""Fits that a searcher is asked for as Tune asks it; they never run, and end as a test says."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from osr_core.kinds import FIT
from osr_core.stage import Stage
from sweeps.planning.resources import Resources
from sweeps.running.outcome import Cause, Outcome
from sweeps.running.placement import Machines
from sweeps.running.searcher import StageSearcher
from tests.sweeps.running.one_by_one import Notes

PACKED = Resources(pack="auto")
GPU = {"CPU": 8.0, "GPU": 1.0}
ONE, TYPED = Machines((GPU,)), Machines(({**GPU, "accelerator_type:L4": 1.0},))


def fit(number: int, batch_size: int = 128) -> Stage:
    """One of several of a sort."""
    training = {"epochs": 1, "batch_size": batch_size, "optimizer": "sgd"}
    config = {"method": {"name": "cac"}, "training": training, "number": number}
    return Stage(kind=FIT, config=config)


class Asked:
    """A searcher with machines, asked as Tune asks it."""

    def __init__(
        self,
        stages: list[Stage],
        resources: Resources = PACKED,
        machines: Machines | Callable[[], Machines] = ONE,
    ) -> None:
        self.notes, self.number = Notes(), 0
        look = machines if callable(machines) else lambda: machines
        self.searcher = StageSearcher(stages, resources, self.notes, look, wait_s=60.0)
        self.queued: dict[str, str] = {}  # by stage id, Tune's id

    def all(self) -> list[float]:
        """The parts of a GPU that all ask for which are handed out now."""
        parts = []
        while isinstance(config := self.searcher.suggest(str(self.number)), dict):
            (stage_id,) = config["stage_ids"]
            self.queued[stage_id] = str(self.number)
            self.number += 1
            parts.append(config["takes"]["GPU"])
        return parts

    def ends(
        self, stage: Stage, machine: dict[str, Any] | None, cause: Cause | None = None
    ) -> None:
        """One begins and ends."""
        trial_id = self.queued.pop(stage.id)
        self.searcher.on_trial_start(trial_id)
        outcome = Outcome(stage_id=stage.id, wall_s=1.0, cause=cause, machine=machine)
        self.searcher.on_trial_complete(trial_id, {"outcomes": [asdict(outcome)]})

    def knows(self, stage: Stage, machine: dict[str, Any]) -> None:
        """A stage like this has left that in a marker."""
        self.searcher.asking.know(stage.kind.name, stage.config, machine)
