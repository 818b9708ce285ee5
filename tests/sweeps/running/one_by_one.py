"""Two stages that a searcher hands out, run in this process."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from osr_core.kinds import NOOP
from osr_core.stage import Stage
from sweeps.planning.resources import Resources
from sweeps.running import worker
from sweeps.running.outcome import Outcome
from sweeps.running.placement import Machines
from sweeps.running.searcher import StageSearcher
from sweeps.running.workplace import Workplace
from sweeps.store.store import Store

STAGE = Stage(kind=NOOP, config={"method": {"name": "noop"}, "task": {}})
USER = Stage(kind=NOOP, config={"method": {"name": "user"}, "task": {}}, inputs={"x": STAGE})


def machines(alive: int, lost: int = 0) -> Machines:
    """Some of two cores and a GPU each."""
    return Machines(({"CPU": 2.0, "GPU": 1.0},) * alive, lost)


class Notes:
    """Writes down what a launch is told."""

    is_behind = False

    def __init__(self, told: Callable[[Outcome], None] | None = None) -> None:
        self.outcomes: list[Outcome] = []  # of attempts that are repeated
        self.ends: list[tuple[Outcome, list[str]]] = []
        self.texts: list[str] = []
        self.retried = told or self.outcomes.append

    def name(self, stage: Stage) -> str:
        return str(stage.config["method"]["name"])

    def may_run(self, stage: Stage) -> bool:
        return True

    def handed_out(self, stage: Stage) -> None: ...

    def began(self, stage: Stage) -> None: ...

    def ended(self, outcome: Outcome, skipped: list[str]) -> None:
        self.ends.append((outcome, skipped))

    def waiting(self, text: str) -> None:
        self.texts.append(text)

    def look(self) -> None: ...


class Sweep:
    """A searcher whose trials run here, one after the other, as Tune would run them."""

    def __init__(
        self,
        folder: Path,
        told: Callable[[Outcome], None] | None = None,
        resources: Resources | None = None,
    ) -> None:
        self.workplace = Workplace(store=str(folder), data_root=None)
        self.store = Store(folder)
        self.notes = Notes(told)
        self.retried, self.ended = self.notes.outcomes, self.notes.ends
        self.configs: list[dict[str, Any]] = []
        asked = resources or Resources()
        self.searcher = StageSearcher(
            [STAGE, USER], asked, self.notes, lambda: machines(1), wait_s=60.0
        )

    def run(self) -> None:
        """Until the searcher has nothing more; retries do not wait."""
        identities = {stage.id: stage.identity for stage in (STAGE, USER)}
        for number in range(500):
            config = self.searcher.suggest(str(number))
            if config == StageSearcher.FINISHED:
                return
            assert isinstance(config, dict)
            self.configs.append(config)
            (stage_id,) = config["stage_ids"]
            outcome = worker.work(stage_id, identities, self.workplace)
            self.searcher.on_trial_complete(str(number), {"outcomes": [asdict(outcome)]})
        raise AssertionError("it never ended")
