"""Which trials and stages of a sweep a user means, by the words of its record. Pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from osr_core.errors import ConfigError, unknown_name

Facts = Mapping[str, Any]  # what a record says of a trial or a stage
OF_TRIAL = ("method", "dataset", "split", "seed")


@dataclass(frozen=True)
class Filter:
    """Values of which one must hold, word for word; a word without values lets everything through.

    A stage is meant if a trial that needs it is, and if its kind and state are.
    """

    method: tuple[str, ...] = ()
    dataset: tuple[str, ...] = ()
    split: tuple[int, ...] = ()
    seed: tuple[int, ...] = ()
    kind: tuple[str, ...] = ()
    state: tuple[str, ...] = ()

    def __str__(self) -> str:
        """As it is typed: "--method pmal --split 3"."""
        return " ".join(f"--{word} {value}" for word, values in self._given() for value in values)

    def __bool__(self) -> bool:
        """Whether anything is asked for."""
        return any(values for _, values in self._given())

    def _given(self) -> Iterable[tuple[str, Collection[Any]]]:
        return vars(self).items()

    def fits_trial(self, trial: Facts) -> bool:
        """Whether a trial is meant."""
        return all(
            not (values := getattr(self, word)) or trial[word] in values for word in OF_TRIAL
        )

    def fits_stage(self, stage: Facts, state: str) -> bool:
        """Whether a stage of a trial that is meant is meant, too."""
        is_kind = not self.kind or stage["kind"] in self.kind
        return is_kind and (not self.state or state in self.state)

    def check(self, record: Facts) -> None:
        """Refuse values that nothing of the sweep has.

        Raises:
            ConfigError: names what there is.
        """
        problems = []
        for word, asked in self._given():
            if not asked or word == "state":
                continue
            of = record["stages"] if word == "kind" else record["trials"]
            there = {each[word] for each in of}
            problems += [
                f"in sweep '{record['sweep']}' {unknown_name(word, value, map(str, there))}"
                for value in asked
                if value not in there
            ]
        if problems:
            raise ConfigError(problems)


@dataclass(frozen=True)
class Meant:
    """What of a sweep's record is meant, with the state of each of its stages."""

    record: Facts
    given: Filter
    states: Mapping[str, str]
    stage_id: str | None = None  # of the only stage that is meant

    @cached_property
    def trials(self) -> list[Facts]:
        """The trials that are meant, whatever their stages' kinds and states."""
        return [trial for trial in self.record["trials"] if self.given.fits_trial(trial)]

    @cached_property
    def stages(self) -> dict[str, Facts]:
        """The stages that are meant, by id."""
        if self.stage_id is not None:
            return {self.stage_id: self.all_stages[self.stage_id]}
        if not any(getattr(self.given, word) for word in OF_TRIAL):
            needed = set(self.all_stages)
        else:
            needed = self.needed_by(trial["trial_id"] for trial in self.trials)
        return {
            stage_id: stage
            for stage_id, stage in self.all_stages.items()
            if stage_id in needed and self.given.fits_stage(stage, self.states[stage_id])
        }

    @property
    def counts(self) -> dict[str, int]:
        """Of trials and stages that are meant, how many are done."""
        ends = [trial["trial_id"] for trial in self.trials]
        stages = [self.states[stage_id] for stage_id in self.stages]
        return {
            "trials_done": sum(self.states[trial_id] == "done" for trial_id in ends),
            "trials": len(ends),
            "stages_done": stages.count("done"),
            "stages": len(stages),
        }

    @cached_property
    def all_stages(self) -> dict[str, Facts]:
        """Every stage of the sweep, by id, inputs before users."""
        return {stage["stage_id"]: stage for stage in self.record["stages"]}

    def needed_by(self, ids: Iterable[str]) -> set[str]:
        """Stages with all upstream of them."""
        found: set[str] = set()
        wanted = list(ids)
        while wanted:
            if (stage_id := wanted.pop()) not in found:
                found.add(stage_id)
                wanted += self.all_stages[stage_id]["inputs"]
        return found

    def users_of(self, ids: Iterable[str]) -> set[str]:
        """Stages with all downstream of them."""
        found = set(ids)
        for stage_id, stage in self.all_stages.items():  # inputs come first
            if found.intersection(stage["inputs"]):
                found.add(stage_id)
        return found

    @property
    def to_cancel(self) -> "ToCancel":
        """What of it can be given up without taking a result from a trial that is not meant."""
        open_ids = {
            stage_id
            for stage_id in self.stages
            if self.states[stage_id] not in ("done", "cancelled")
        }
        if self.stage_id is not None:
            return ToCancel(open_ids, set(), self._trials_that_need(open_ids))
        meant = {trial["trial_id"] for trial in self.trials}
        others = [
            needed
            for trial in self.record["trials"]
            if trial["trial_id"] not in meant and self.states[trial["trial_id"]] != "done"
            for needed in [self.needed_by([trial["trial_id"]])]
            if not any(self.states[stage_id] == "cancelled" for stage_id in needed)
        ]
        shared = open_ids & set().union(*others)
        ids = open_ids - shared
        return ToCancel(ids, shared, self._trials_that_need(ids))

    def _trials_that_need(self, ids: Collection[str]) -> int:
        """How many trials without a result need one of these stages."""
        without = self.users_of(ids)
        ends = {trial["trial_id"] for trial in self.record["trials"]}
        return sum(self.states[stage_id] != "done" for stage_id in ends & without)

    @property
    def to_retry(self) -> set[str]:
        """What of it, and of what it rests on, has failed or was cancelled."""
        open_ids = [each for each in self.stages if self.states[each] != "done"]
        needed = self.needed_by(open_ids)
        return {each for each in needed if self.states[each] in ("failed", "cancelled")}


class ToCancel(NamedTuple):
    """What a cancellation is about."""

    ids: set[str]
    shared: set[str]  # what is meant, too, but goes on: a trial that is not meant needs it
    num_trials: int  # that get no result without `ids`
