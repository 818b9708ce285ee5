"""Stages leave machines that cannot get their data, and the launch ends where none is left."""

from dataclasses import asdict
from typing import Any

from osr_core.kinds import NOOP
from osr_core.stage import Stage
from sweeps.planning.resources import Resources
from sweeps.running.outcome import Cause, Outcome
from sweeps.running.placement import FEWEST, Machines
from sweeps.running.searcher import StageSearcher
from tests.sweeps.running.one_by_one import Notes


def stage_of(dataset: str, number: int) -> Stage:
    """One that reads a data set; all are of one method."""
    task = {"dataset": dataset, "fingerprint": "f", "split": number}
    return Stage(kind=NOOP, config={"method": {"name": "noop"}, "task": task})


BIRDS = [stage_of("birds", number) for number in range(9)]
DIGITS = stage_of("digits", 0)


class Cluster:
    """Two machines and a searcher, asked as Tune asks it."""

    def __init__(self) -> None:
        labels = tuple({"ray.io/node-id": name} for name in ("a", "b"))
        there = Machines(({"CPU": 1.0},) * 2, labels=labels)
        self.notes = Notes()
        self.searcher = StageSearcher(
            [*BIRDS, DIGITS], Resources(), self.notes, lambda: there, wait_s=60.0
        )
        self.number = 0

    def next(self) -> tuple[str, dict[str, Any]]:
        """What is handed out next, and Tune's name of it."""
        self.number += 1
        config = self.searcher.suggest(str(self.number))
        assert isinstance(config, dict), config
        return str(self.number), config

    def lacks(self, trial_id: str, config: dict[str, Any], node: str) -> None:
        """A machine cannot get the data of what was handed out."""
        (stage_id,) = config["stage_ids"]
        cause, reason = Cause.LACKS_DATA, f"{node} has no birds/train"
        outcome = Outcome(stage_id=stage_id, wall_s=0.0, cause=cause, reason=reason)
        self.searcher.on_trial_complete(trial_id, {"outcomes": [asdict(outcome)], "node": node})


def test_stages_of_that_data_go_elsewhere_and_others_go_anywhere():
    """Also those that have not been there."""
    cluster = Cluster()
    trial_id, config = cluster.next()
    assert (config["stage_ids"], config["labels"]) == ([BIRDS[0].id], {})
    cluster.lacks(trial_id, config, "a")
    assert [outcome.reason for outcome in cluster.notes.outcomes] == ["a has no birds/train"]
    handed_out = [cluster.next()[1] for _ in range(FEWEST + 1)]  # those for one machine, and one
    labels = {config["stage_ids"][0]: config["labels"] for config in handed_out}
    away = {"ray.io/node-id": "!in(a)"}
    assert labels == {**{each.id: away for each in BIRDS[:FEWEST]}, DIGITS.id: {}}


def test_where_no_machine_is_left_the_launch_ends_with_what_the_last_one_said():
    """With the code of a wrong request, as where the driver finds no data; no stage is given up."""
    cluster = Cluster()
    for node in ("a", "b"):
        trial_id, config = cluster.next()
        cluster.lacks(trial_id, config, node)
    problem = cluster.searcher.problem
    assert problem is not None
    assert str(problem) == (
        "no machine can get the data of a stage, and nothing is lost: b has no birds/train"
    )
    assert problem.exit_code == 2
    assert cluster.searcher.suggest("x") == StageSearcher.FINISHED
    assert cluster.notes.ends == []
