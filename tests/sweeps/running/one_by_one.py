"""Two stages that a searcher hands out, run in this process."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from osr_core.stage import Stage
from sweeps.running import worker
from sweeps.running.deaths import Nodes
from sweeps.running.searcher import StageSearcher
from sweeps.store.store import Store

STAGE = Stage(kind="noop", config={"method": {"name": "noop"}, "task": {}})
USER = Stage(kind="noop", config={"method": {"name": "user"}, "task": {}}, inputs={"x": STAGE})


class Sweep:
    """A searcher whose trials run here, one after the other, as Tune would run them."""

    def __init__(self, folder: Path, told: Callable[[worker.Outcome], None] | None = None) -> None:
        self.place = worker.Workplace(store=str(folder), data_root=None)
        self.store = Store(folder)
        self.retried: list[worker.Outcome] = []
        self.ended: list[tuple[worker.Outcome, list[str]]] = []
        self.configs: list[dict[str, Any]] = []
        self.searcher = StageSearcher(
            [STAGE, USER],
            started=lambda stage: None,
            retried=told or self.retried.append,
            ended=lambda outcome, skipped: self.ended.append((outcome, skipped)),
            count_nodes=lambda: Nodes(alive=1, lost=0),
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
            outcome = worker.work(config["stage_id"], identities, self.place)
            self.searcher.on_trial_complete(str(number), asdict(outcome))
        raise AssertionError("it never ended")
