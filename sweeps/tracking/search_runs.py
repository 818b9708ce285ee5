"""A sweep's searches in MLflow: a run for each, and below it a run for each of its candidates.

Like the runs of stages they are found again by the tag `stage_id`, which holds the search's id, and
for a candidate its number too. The runs of a candidate's trials stand below it. What a run shows is
a pure function of what is said of the search in the plan's record.
"""

from collections.abc import Callable, Mapping
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, RunTag

from osr_core.identity import digest
from sweeps.planning.plan import Plan
from sweeps.tracking.found_runs import FoundRuns
from sweeps.tracking.sending import send_points
from sweeps.tracking.tags import ARRIVED, FACTS, PARENT, candidate_id

RANK = "chosen"  # of a candidate that goes on to the evaluation: 1 is the best
RUNNING = "running"  # a candidate's state while nothing is decided
AT = 0  # every point's time: what a candidate found has no clock


def shown_facts(plan: Plan) -> dict[str, str]:
    """By id of each search and candidate, what stands for the facts that its run shows."""
    shown: dict[str, str] = {}
    for facts in plan.searches:
        shown[facts["search_id"]] = digest(about(facts))
        for each in facts["candidates"]:
            found = {key: value for key, value in each.items() if key != RANK}
            shown[candidate_id(facts["search_id"], each["number"])] = digest(found)
    return shown


def about(facts: Mapping[str, Any]) -> dict[str, str]:
    """The columns of a search's run."""
    said = ("method", "dataset", "select", "looks_at")
    return {name: str(facts[name]) for name in said}


class SearchRuns:
    """Writes the runs of searches and candidates; doing it twice changes nothing."""

    def __init__(
        self, client: MlflowClient, experiment_id: str, found: FoundRuns, check: Callable[[], None]
    ) -> None:
        self._client, self._experiment_id = client, experiment_id
        self._found, self._check = found, check
        self._above: dict[str, str] = {}  # by id of a trial, its candidate's

    def write(self, plan: Plan) -> None:
        """Bring all of them up to date with the plan."""
        shown = shown_facts(plan)
        for facts in plan.searches:
            search_id = facts["search_id"]
            name = f"search {facts['method']} {facts['dataset']}"
            tags = {"kind": "search", "stage_id": search_id, FACTS: shown[search_id]}
            parent = self._run_of(search_id, self._found.parent_id, name, tags)
            for each in facts["candidates"]:
                self._write_candidate(facts, each, parent, shown)
            if search_id not in self._found.finished:
                send_points(self._client, parent, [], about(facts))
                if facts["over"]:
                    self._end(search_id, parent)
            if facts["over"]:
                self._mark_chosen(facts)

    def parent_of(self, trial_id: str) -> str:
        """The run below which that of a trial stands: its candidate's, or the sweep's own."""
        return self._found.run_ids.get(self._above.get(trial_id, ""), self._found.parent_id)

    def _write_candidate(
        self,
        facts: Mapping[str, Any],
        candidate: Mapping[str, Any],
        parent: str,
        shown: Mapping[str, str],
    ) -> None:
        own_id = candidate_id(facts["search_id"], candidate["number"])
        for trial_id in (each for step in candidate["trials"] for each in step):
            self._above.setdefault(trial_id, own_id)
        if own_id in self._found.finished:
            return  # `look` has deleted those that show other facts
        name = f"{facts['method']} {facts['dataset']} candidate {candidate['number']}"
        tags = {"kind": "candidate", "stage_id": own_id, "state": candidate["state"]}
        tags |= {"candidate": str(candidate["number"]), "search": facts["search_id"]}
        tags |= {FACTS: shown[own_id]}
        tags |= {"why": candidate["reason"]} if candidate["reason"] else {}
        run_id = self._run_of(own_id, parent, name, tags)
        params = {name: str(value) for name, value in candidate["params"].items()}
        of_run = {"method": facts["method"], "dataset": facts["dataset"]}
        send_points(self._client, run_id, points(candidate["values"]), {**params, **of_run})
        if candidate["state"] != RUNNING:
            self._end(own_id, run_id)

    def _mark_chosen(self, facts: Mapping[str, Any]) -> None:
        """Let those candidates have the tag of the chosen which are; more may have been tried since
        others were.
        """
        wanted = {
            self._found.run_ids[candidate_id(facts["search_id"], each["number"])]: each[RANK] + 1
            for each in facts["candidates"]
            if each[RANK] is not None
        }
        asked = f"tags.search = '{facts['search_id']}' and tags.{RANK} != ''"
        marked = self._client.search_runs([self._experiment_id], asked)
        there = {run.info.run_id: run.data.tags[RANK] for run in marked}
        for run_id in there.keys() - wanted.keys():
            self._client.delete_tag(run_id, RANK)
        for run_id, rank in wanted.items():
            if there.get(run_id) != str(rank):
                self._client.set_tag(run_id, RANK, str(rank))

    def _run_of(self, own_id: str, parent: str, name: str, tags: Mapping[str, str]) -> str:
        """The run of a search or a candidate, made if need be, with its tags."""
        run_id = self._found.run_ids.get(own_id)
        if run_id is None:
            self._check()
            run = self._client.create_run(
                self._experiment_id, tags={**tags, PARENT: parent}, run_name=name
            )
            run_id = str(run.info.run_id)
            self._found.add(own_id, run.info.start_time, run_id)
        elif own_id not in self._found.finished:
            self._client.log_batch(run_id, tags=[RunTag(*each) for each in tags.items()])
        return run_id

    def _end(self, own_id: str, run_id: str) -> None:
        self._client.set_terminated(run_id, "FINISHED")
        self._client.log_metric(run_id, ARRIVED, AT)
        self._found.unended.discard(run_id)
        self._found.finished.add(own_id)


def points(values: Mapping[str, list[float]]) -> list[Metric]:
    """Each rule's number on each split and seed, in order, and the average so far."""
    found = []
    for rule, numbers in values.items():
        for step, number in enumerate(numbers):
            so_far = sum(numbers[: step + 1]) / (step + 1)
            found += [Metric(rule, number, AT, step), Metric(f"{rule}/mean", so_far, AT, step)]
    return found
