"""A sweep's searches, from its plan's record: what was asked, and what came of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, NamedTuple

from analysis.exports.schema import HISTORY
from osr_core.identity import upstream
from osr_core.wording import Shortened, duration, in_words, percent

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
    values: Mapping[str, Sequence[float]]  # by measure, one for each of its first steps
    fits: Sequence[str]  # ids of the fits that its values rest on, in history.parquet

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
    rungs: Sequence[int]  # epochs at which fits are stopped and measured, on the way of each step
    shares: Sequence[float]  # of a step that are done at each rung and at the end
    measures: Sequence[Sequence[str]]  # there, of each rule; at the end the rules themselves
    over: bool
    candidates: Sequence[Candidate]

    @property
    def about(self) -> dict[str, Any]:
        """Everything but the candidates, by name."""
        names = [field.name for field in fields(self)]
        return {name: getattr(self, name) for name in names if name != "candidates"}

    @property
    def ranked(self) -> list[Candidate]:
        """All candidates, best first: complete ones, then those that run, pruned and failed ones,
        each by their estimates.
        """
        return sorted(self.candidates, key=self._place)

    @cached_property
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
        if best is None or mean is None or candidate.state == "complete":
            return own
        met = candidate.values.get(measure := self._last_measure(candidate), ())
        if not met:
            return None
        theirs = best.values[measure][: len(met)]
        return mean + (sum(met) - sum(theirs)) / len(met)

    def _last_measure(self, candidate: Candidate) -> str:
        """What was measured of a candidate last, by the choosing rule."""
        return self.measures[self._rungs_met(candidate) - 1][list(self.rules).index(self.select)]

    def _rungs_met(self, candidate: Candidate) -> int:
        """How many rungs it has met of a step that it has not ended."""
        *at_rungs, at_end = (len(candidate.values.get(each[0], ())) for each in self.measures)
        return sum(met > at_end for met in at_rungs)

    def rung(self, candidate: Candidate) -> int | None:
        """The epoch of a fit at which a candidate was pruned, if on the way of one."""
        met = self._rungs_met(candidate)
        return self.rungs[met - 1] if met and candidate.state == "pruned" else None

    def outcome(self, candidate: Candidate) -> str:
        """What became of it, for people: "chosen", "pruned at epoch 30"."""
        if candidate.chosen is not None:
            return "chosen"
        rung = self.rung(candidate)
        return candidate.state if rung is None else f"{candidate.state} at epoch {rung}"

    def shown_mean(self, candidate: Candidate) -> str:
        """The estimate in percent, marked where the candidate has not met all steps."""
        about = "" if candidate.state == "complete" else "~"
        estimate = self.estimate(candidate)
        return percent(None) if estimate is None else f"{about}{percent(estimate, 2)}"

    @cached_property
    def num_saved(self) -> float:
        """Steps that pruned candidates did not take; one that was left at a rung counts in part."""
        pruned = [each for each in self.candidates if each.state == "pruned"]
        return sum(len(self.steps) - self._num_taken(each) for each in pruned)

    @cached_property
    def num_taken(self) -> float:
        """Steps that candidates took, as `num_saved`."""
        return sum(self._num_taken(each) for each in self.candidates)

    def _num_taken(self, candidate: Candidate) -> float:
        whole = len(candidate.values.get(self.select, ()))
        met = self._rungs_met(candidate)
        return whole + self.shares[met - 1] if met else whole

    def num(self, state: str) -> int:
        """How many candidates stand so."""
        return sum(each.state == state for each in self.candidates)

    @property
    def title(self) -> str:
        """What it is about, and by what it chooses; its id begins as `--search` takes it."""
        about = f"search {self.search_id[:8]} of {self.method} on {self.dataset}"
        return f"{about} by {self.select} ({self.looks_at})"

    def savings(self, spared_s: float) -> str:
        """What pruning saved: "pruning saved 5 of 20 steps, about 15 s", or "" for nothing."""
        if not self.num_saved:
            return ""
        saved = f"{self.num_saved:.1f}".removesuffix(".0")
        words = f"pruning saved {saved} of {len(self.candidates) * len(self.steps)} steps"
        return f"{words}, about {duration(spared_s)}" if spared_s else words

    def summary(self, spared_s: float) -> str:
        """How it stands: candidates asked of those planned, what became of them, and what was
        saved.
        """
        asked = len(self.candidates)
        states = [f"{self.num(state)} {state}" for state in STATES if self.num(state)]
        early = " (its budget is spent)" if self.over and asked < self.planned else ""
        words = f"{asked} of {self.planned} candidates asked{early}: {', '.join(states) or 'none'}"
        return "; ".join(filter(None, (words, self.savings(spared_s))))

    def line(self, spared_s: float) -> str:
        """How it stands, the best so far and what was saved, in one line."""
        about = f"search of {self.method} on {self.dataset}: {len(self.candidates)} of "
        about += f"{self.planned} candidates asked"
        if (best := self.best) is None:
            return f"{about}, none complete"
        mean, so_far = percent(best.mean(self.select), 2), "" if self.over else " so far"
        words = f"{about}, best{so_far} {mean} % by {self.select}: {self.words()[best.number]}"
        return "; ".join(filter(None, (words, self.savings(spared_s))))

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
    return [_search(facts, trials, record) for facts in record.get("searches", ())]


def _search(
    facts: Mapping[str, Any], trials: Mapping[str, Mapping[str, Any]], record: Mapping[str, Any]
) -> Search:
    said = ["search_id", "method", "dataset", "rules", "select", "looks_at", "space", "planned"]
    said += ["rungs", "shares", "measures", "over"]
    inputs = {stage["stage_id"]: stage["inputs"] for stage in record["stages"]}
    trained = {kind for kind, tables in record["leaves"].items() if HISTORY in tables}
    fits = {stage["stage_id"] for stage in record["stages"] if stage["kind"] in trained}
    candidates = []
    for each in facts["candidates"]:
        num = sum(map(len, each["values"].values())) // len(facts["rules"])
        met = [trial_id for step in each["trials"][:num] for trial_id in step]
        own = {name: each[name] for name in ("number", "params", "state", "reason", "chosen")}
        own |= {"fits": sorted(fits.intersection(upstream(met, inputs)))}
        candidates.append(Candidate(**own, values=each["values"]))
    return Search(
        **{name: facts[name] for name in said},
        steps=tuple(dict.fromkeys(_steps(facts, trials))),
        candidates=tuple(candidates),
    )


def _steps(facts: Mapping[str, Any], trials: Mapping[str, Mapping[str, Any]]) -> Iterator[Step]:
    """The step of each trial that a candidate of the record was planned for."""
    found: dict[int, Step] = {}
    for candidate in facts["candidates"]:
        for position, ids in enumerate(candidate["trials"]):
            for trial in (trials[i] for i in ids if i in trials):
                found.setdefault(position, Step(trial["split"], trial["seed"]))
    yield from (found[position] for position in sorted(found))
