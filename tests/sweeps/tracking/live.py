"""A fit that tells of its epochs, as its worker and its driver see it."""

from dataclasses import dataclass, field
from typing import Any

from mlflow.entities import Run, ViewType

from osr_core.stage import Stage
from osr_core.tables import history_table, table_to_bytes
from sweeps.home import Home
from sweeps.planning.plan import Plan, make_plan
from sweeps.planning.spec import parse_spec
from sweeps.store.store import Store
from sweeps.tracking.tracker import Tracker, make_tracker

SPEC = {"name": "live", "datasets": ["digits"], "splits": [0], "methods": {"softmax": {}}}
Points = list[tuple[int, int, float]]


@dataclass
class LiveFit:
    """The only fit of a small sweep."""

    home: Home
    store: Store = field(init=False)
    plan: Plan = field(init=False)
    stage: Stage = field(init=False)
    rows: list[dict[str, Any]] = field(default_factory=list)
    started_at: float = 0.0

    def __post_init__(self) -> None:
        self.store = Store(self.home.store)
        spec = parse_spec(SPEC, "live")
        self.plan = make_plan(spec, {"digits/train": "-", "digits/test": "-"})
        self.stage = next(stage for stage in self.plan.stages.values() if stage.kind.name == "fit")

    def attempt(self, started_at: float, keeping: int = 0) -> None:
        """One begins, from a checkpoint of so many epochs."""
        self.started_at, self.rows = started_at, self.rows[:keeping]

    def tell(self, *losses: float) -> None:
        """More epochs end, a second each."""
        for loss in losses:
            at = self.started_at + len(self.rows) + 1.0
            self.rows.append({"epoch": len(self.rows) + 1, "at": at, "train/loss": loss})
        self.store.attempts.save_progress(self.stage.id, 4, self.started_at, self.rows, host="here")

    def commit(self) -> None:
        """The attempt has ended well."""
        history = [{"train/loss": row["train/loss"]} for row in self.rows]
        self.store.commit(
            self.stage.id,
            self.stage.identity,
            {"history.parquet": table_to_bytes(history_table(history, range(len(history))))},
            history[-1],
            started_at=self.started_at,
            wall_s=100.0,
            host="here",
            epochs_at=[row["at"] for row in self.rows],
        )

    def tracker(self) -> Tracker:
        """That of a driver that begins now."""
        return make_tracker(self.plan, self.store, self.home, "abc")

    @property
    def told(self) -> Points:
        """What MLflow is to show: epoch, time in ms and loss of each."""
        return [(row["epoch"], round(1000 * row["at"]), row["train/loss"]) for row in self.rows]


def runs_of(tracker: Tracker, stage: Stage, *, deleted: bool = False) -> list[Run]:
    """A stage's runs in MLflow."""
    view = ViewType.DELETED_ONLY if deleted else ViewType.ACTIVE_ONLY
    asked = f"tags.stage_id = '{stage.id}'"
    return list(tracker.client.search_runs([tracker.experiment_id], asked, run_view_type=view))


def shown(tracker: Tracker, stage: Stage, status: str) -> Points:
    """The curve of a stage's only run, which has that status."""
    (run,) = runs_of(tracker, stage)
    assert run.info.status == status
    points = tracker.client.get_metric_history(run.info.run_id, "train/loss")
    return sorted((point.step, point.timestamp, point.value) for point in points)
