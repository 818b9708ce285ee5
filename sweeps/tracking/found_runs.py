"""What MLflow holds of a sweep: which stages have a run, of which attempt, and which is whole."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from mlflow import MlflowClient
from mlflow.entities import Run, ViewType

from sweeps.store.files import StoreError
from sweeps.store.store import Store
from sweeps.tracking.database_file import Leaves, has_files
from sweeps.tracking.experiment import experiment_of
from sweeps.tracking.points import milliseconds
from sweeps.tracking.tags import ARRIVED, FACTS


@dataclass
class FoundRuns:
    """The runs of one experiment; `look` brings it up to date."""

    client: MlflowClient
    experiment_id: str
    facts: Mapping[str, str]  # by id of the plan's stages, what the tag FACTS must say; "" nothing
    check: Callable[[], None]  # raises where this driver may delete nothing any more
    leaves: Leaves  # by the name of a kind of stage, the tables that its runs have
    parent_id: str = ""  # the sweep's own run
    run_ids: dict[str, str] = field(default_factory=dict)  # by stage id
    began: dict[str, int] = field(default_factory=dict)  # by stage id, the shown attempt's, in ms
    finished: set[str] = field(default_factory=set)  # ids of stages whose runs are whole
    failed: dict[str, int] = field(default_factory=dict)  # by stage id, when it was given up, in ms
    unended: set[str] = field(default_factory=set)  # ids of runs of stages

    def learn(self, trials: Iterable[str], facts: Mapping[str, str], leaves: Leaves) -> list[str]:
        """Take the facts of a plan that has grown; delete runs of its trials that show others.

        A search has chosen their settings since. Returns their ids: they are to be written anew.
        """
        before, self.facts, self.leaves = self.facts, facts, leaves
        outdated = [i for i in trials if i in self.run_ids and before.get(i) != facts[i]]
        for trial_id in outdated:
            self.look(trial_id)
        return outdated

    def look(self, stage_id: str | None = None) -> None:
        """Note the runs that are there, or only those of one stage, and delete those that must not
        be.

        Where an answer was lost a run may be there twice: that which is known already stays, then
        that which is whole, then the oldest. A run that shows other facts of its trial than the
        plan's, such as another protocol with the same classes, is not of this plan.
        """
        known = {self.parent_id, *self.run_ids.values()}
        runs = self.all_runs(stage_id)
        self._forget(stage_id)
        runs.sort(key=lambda run: (run.info.run_id not in known, not is_whole(run, self.leaves)))
        for run in runs:
            run_id, tags = run.info.run_id, run.data.tags
            found_id = tags.get("stage_id", "")
            if tags.get("kind") == "sweep":
                self.parent_id = self.parent_id or run_id
                is_wrong = self.parent_id != run_id
            elif not found_id:
                continue  # a user's own
            elif tags.get(FACTS, "") != self.facts.get(found_id, tags.get(FACTS, "")):
                is_wrong = True
            else:
                is_wrong = self.run_ids.setdefault(found_id, run_id) != run_id
            if is_wrong:
                self.check()
                self.client.delete_run(run_id)
            elif found_id:
                self._note(found_id, run)

    def _note(self, stage_id: str, run: Run) -> None:
        self.began[stage_id] = run.info.start_time
        if run.info.status == "RUNNING":
            self.unended.add(run.info.run_id)
        if is_whole(run, self.leaves):
            self.finished.add(stage_id)
        if "reason" in run.data.tags:
            self.failed[stage_id] = run.info.end_time or 0

    def _forget(self, stage_id: str | None) -> None:
        """All that was known, of one stage or of all."""
        if stage_id is None:
            self.parent_id = ""
        for known in [*self.run_ids] if stage_id is None else [stage_id]:
            self.unended.discard(self.run_ids.pop(known, ""))
            self.began.pop(known, None)
            self.finished.discard(known)
            self.failed.pop(known, None)

    def run_of(self, stage_id: str, began: int) -> str | None:
        """The run of the attempt that began then, in ms, if there is one and its stage has not
        ended. Any other tells of the past, with other times, and is deleted.
        """
        run_id = self.run_ids.get(stage_id)
        if run_id is None or (self.began[stage_id] == began and not self.has_ended(stage_id)):
            return run_id
        self.check()
        self.client.delete_run(run_id)
        self._forget(stage_id)
        return None

    def has_ended(self, stage_id: str) -> bool:
        """Whether a run tells how its stage ended."""
        return stage_id in self.finished or stage_id in self.failed

    def forget_outdated(self, store: Store) -> None:
        """Delete runs that show a result which was set aside since."""
        for stage_id in self.finished & {*store.aside(self.facts).values()}:
            try:
                began = milliseconds(store.read_commit(stage_id).started_at)
            except StoreError:  # it is not made again yet
                began = -1
            if self.began[stage_id] != began:
                self.run_of(stage_id, began)

    def add(self, stage_id: str, began: int, run_id: str) -> None:
        """A run was made."""
        self.run_ids[stage_id], self.began[stage_id] = run_id, began
        self.unended.add(run_id)

    def all_runs(self, stage_id: str | None = None) -> list[Run]:
        """Every run of the experiment, or of one stage, the oldest first."""
        runs: list[Run] = []
        token = None
        while True:
            page = self.client.search_runs(
                [self.experiment_id],
                filter_string=f"tags.stage_id = '{stage_id}'" if stage_id else "",
                run_view_type=ViewType.ACTIVE_ONLY,
                max_results=5000,
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )
            runs += page
            token = page.token
            if not token:
                return runs


def is_whole(run: Run, leaves: Leaves) -> bool:
    """Whether MLflow holds all of a stage's run."""
    if run.info.status != "FINISHED" or ARRIVED not in run.data.metrics:
        return False
    return has_files(run.info.artifact_uri, leaves.get(run.data.tags.get("kind", ""), ()))


def shown_stages(uri: str, sweep: str, store_id: str, leaves: Leaves) -> set[str]:
    """Ids of stages whose runs are whole; none where the sweep's own run is not there."""
    experiment = experiment_of(uri, sweep, store_id)
    if experiment is None:
        return set()
    found = FoundRuns(MlflowClient(uri), experiment.experiment_id, {}, lambda: None, leaves)
    runs = found.all_runs()
    if not any(run.data.tags.get("kind") == "sweep" for run in runs):
        return set()
    return {run.data.tags.get("stage_id", "") for run in runs if is_whole(run, leaves)}
