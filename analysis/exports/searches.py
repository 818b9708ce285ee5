"""A sweep's searches, from its plan's record: what was asked, and what came of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from osr_core.wording import Shortened, in_words, percent

STATES = ("complete", "running", "pruned", "failed")  # best first


class Step(NamedTuple):
    """Where a candidate is measured; all candidates meet the steps in the same order."""

    split: int
    seed: int


@dataclass(frozen=True)
class Candidate:
    """One setting that a search tried."""

    number: int
    params: Mapping[str, Any]  # by dotted name
    state: str  # one of STATES
    reason: str  # why it was pruned or has failed
    chosen: int | None  # 0 for the best of those that were trained anew
    values: Mapping[str, Sequence[float]]  # by rule, one for each of its first steps

    def mean(self, rule: str) -> float | None:
        """Its average so far by a rule."""
        values = self.values.get(rule, ())
        return sum(values) / len(values) if values else None


@dataclass(frozen=True)
class Search:
    """One search of one method on one dataset."""

    search_id: str
    method: str
    dataset: str
    rules: Sequence[str]  # by which candidates are measured, the sampler's first
    select: str  # the one that chooses
    looks_at: str  # what that looked at
    space: Mapping[str, Any]  # ranges and choices, as a spec has them
    planned: int  # candidates
    steps: Sequence[Step]  # that a complete candidate has met
    over: bool
    candidates: Sequence[Candidate]

    @property
    def ranked(self) -> list[Candidate]:
        """All candidates, best first: complete ones, then those that run, pruned and failed ones,
        each by their estimates.
        """
        return sorted(self.candidates, key=self._place)

    @property
    def best(self) -> Candidate | None:
        """The complete candidate with the best mean; of equal ones the earlier."""
        complete = [each for each in self.candidates if each.state == "complete"]
        return min(complete, key=lambda each: -(each.mean(self.select) or 0.0), default=None)

    def estimate(self, candidate: Candidate) -> float | None:
        """A candidate's mean by the choosing rule over all steps.

        One that has met only some is taken to be as far behind the best everywhere as it was there:
        steps differ in difficulty, and its own mean is over the first ones.
        """
        own, best = candidate.mean(self.select), self.best
        mean = None if best is None else best.mean(self.select)
        if own is None or best is None or mean is None or candidate.state == "complete":
            return own
        theirs = best.values[self.select][: len(candidate.values[self.select])]
        return mean + own - sum(theirs) / len(theirs)

    def shown_mean(self, candidate: Candidate) -> str:
        """The estimate in percent, marked where the candidate has not met all steps."""
        about = "" if candidate.state == "complete" else "~"
        estimate = self.estimate(candidate)
        return percent(None) if estimate is None else f"{about}{percent(estimate, 2)}"

    @property
    def num_saved(self) -> int:
        """Steps that pruned candidates did not take."""
        pruned = [each for each in self.candidates if each.state == "pruned"]
        return sum(len(self.steps) - len(each.values[self.select]) for each in pruned)

    def num(self, state: str) -> int:
        """How many candidates stand so."""
        return sum(each.state == state for each in self.candidates)

    @property
    def title(self) -> str:
        """What it is about, and by what it chooses."""
        return f"search of {self.method} on {self.dataset} by {self.select} ({self.looks_at})"

    @property
    def summary(self) -> str:
        """How it stands: candidates asked of those planned, what became of them, and what was
        saved.
        """
        asked = len(self.candidates)
        states = [f"{self.num(state)} {state}" for state in STATES if self.num(state)]
        early = " (its budget is spent)" if self.over and asked < self.planned else ""
        words = f"{asked} of {self.planned} candidates asked{early}: {', '.join(states) or 'none'}"
        if self.num_saved:
            words += f"; pruning saved {self.num_saved} of {asked * len(self.steps)} steps"
        return words

    @property
    def line(self) -> str:
        """How it stands, and the best so far, in one line."""
        about = f"search of {self.method} on {self.dataset}: {len(self.candidates)} of "
        about += f"{self.planned} candidates asked"
        if (best := self.best) is None:
            return f"{about}, none complete"
        mean, so_far = percent(best.mean(self.select), 2), "" if self.over else " so far"
        return f"{about}, best{so_far} {mean} % by {self.select}: {self.words()[best.number]}"

    def words(self) -> dict[int, str]:
        """The settings of each candidate by its number: "alpha=15.64, anchor_weight=0.08171"."""
        shown = {
            name: Shortened(each.params.get(name) for each in self.candidates)
            for name in self.space
        }
        return {
            each.number: in_words(
                {
                    name: show(each.params[name])
                    for name, show in shown.items()
                    if name in each.params
                }
            )
            for each in self.candidates
        }

    def _place(self, candidate: Candidate) -> tuple[int, float, int]:
        mean = self.estimate(candidate) or 0.0
        return STATES.index(candidate.state), -mean, candidate.number


def choices_in(dimension: Any) -> list[Any] | None:
    """The values of one of a space that is a choice; None of a range."""
    if isinstance(dimension, Mapping):
        return dimension.get("choices")
    return list(dimension)


def searches_in(record: Mapping[str, Any]) -> list[Search]:
    """The searches of a plan's record; none where its spec has none."""
    trials = {trial["trial_id"]: trial for trial in record["trials"]}
    return [_search(facts, trials) for facts in record.get("searches", ())]


def _search(facts: Mapping[str, Any], trials: Mapping[str, Mapping[str, Any]]) -> Search:
    said = ("search_id", "method", "dataset", "rules", "select", "looks_at", "space", "planned")
    return Search(
        **{name: facts[name] for name in said},
        steps=tuple(_steps(facts, trials)),
        over=facts["over"],
        candidates=tuple(
            Candidate(
                **{name: each[name] for name in ("number", "params", "state", "reason", "chosen")},
                values=each["values"],
            )
            for each in facts["candidates"]
        ),
    )


def _steps(facts: Mapping[str, Any], trials: Mapping[str, Mapping[str, Any]]) -> Iterator[Step]:
    """The steps that a candidate of the record was planned for."""
    found: dict[int, Step] = {}
    for candidate in facts["candidates"]:
        for position, ids in enumerate(candidate["trials"]):
            for trial in (trials[i] for i in ids if i in trials):
                found.setdefault(position, Step(trial["split"], trial["seed"]))
    yield from (found[position] for position in sorted(found))
