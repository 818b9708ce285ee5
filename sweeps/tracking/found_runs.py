"""What MLflow holds of a sweep: which stages have a run, and which of these is whole."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mlflow import MlflowClient
from mlflow.entities import Run, ViewType

from sweeps.tracking.tags import ARRIVED, FACTS


@dataclass
class FoundRuns:
    """The runs of one experiment; `look` brings it up to date."""

    client: MlflowClient
    experiment_id: str
    facts: Mapping[str, str]  # by id of the plan's stages, what the tag FACTS must say; "" nothing
    check: Callable[[], None]  # raises where this driver may delete nothing any more
    parent_id: str = ""  # the sweep's own run
    run_ids: dict[str, str] = field(default_factory=dict)  # by stage id
    finished: set[str] = field(default_factory=set)  # ids of stages whose runs are whole
    failed: dict[str, int] = field(default_factory=dict)  # by stage id, when it was given up, in ms
    orphans: set[str] = field(default_factory=set)  # unended runs of stages that left the plan

    def look(self) -> None:
        """Note the runs that are there, and delete those that must not be.

        Where an answer was lost a run may be there twice: that which is known already stays, then
        that which is whole, then the oldest. A run that shows other facts of its trial than the
        plan's, such as another protocol with the same classes, is not of this plan.
        """
        self.orphans.clear()
        runs, known = self.all_runs(), {self.parent_id, *self.run_ids.values()}
        runs.sort(key=lambda run: (run.info.run_id not in known, not is_whole(run)))
        for run in runs:
            run_id, tags = run.info.run_id, run.data.tags
            stage_id = tags.get("stage_id", "")
            if tags.get("kind") == "sweep":
                self.parent_id = self.parent_id or run_id
                is_wrong = self.parent_id != run_id
            elif not stage_id:
                continue  # a user's own
            elif tags.get(FACTS, "") != self.facts.get(stage_id, tags.get(FACTS, "")):
                is_wrong = True
            else:
                is_wrong = self.run_ids.setdefault(stage_id, run_id) != run_id
            if is_wrong:
                self.check()
                self.client.delete_run(run_id)
            elif stage_id:
                self._note(stage_id, run)

    def _note(self, stage_id: str, run: Run) -> None:
        if stage_id not in self.facts and run.info.status == "RUNNING":
            self.orphans.add(run.info.run_id)
        if is_whole(run):
            self.finished.add(stage_id)
        if "reason" in run.data.tags:
            self.failed[stage_id] = run.info.end_time or 0

    def forget_ended(self, stage_id: str) -> None:
        """Delete a run that tells of the past, since its stage has ended once more."""
        if stage_id in self.finished or stage_id in self.failed:
            self.client.delete_run(self.run_ids.pop(stage_id))
            self.finished.discard(stage_id)
            self.failed.pop(stage_id, None)

    def all_runs(self) -> list[Run]:
        """Every run of the experiment, the oldest first."""
        runs: list[Run] = []
        token = None
        while True:
            page = self.client.search_runs(
                [self.experiment_id],
                run_view_type=ViewType.ACTIVE_ONLY,
                max_results=5000,
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )
            runs += page
            token = page.token
            if not token:
                return runs


def is_whole(run: Run) -> bool:
    """Whether MLflow holds all of a stage's run."""
    return run.info.status == "FINISHED" and ARRIVED in run.data.metrics
