"""Who leads on a dataset, by how much, and whether that means anything.

A board has the rows of one dataset under one protocol, best AUROC first. Means are those of the
sweep's table, intervals those of `osr table compare`, and what a lead means is said by
`tables.difference`. Rows that lack trials or splits that others have, and those that an oracle
chose, lead nobody.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from analysis.exports.labels import row_labels
from analysis.exports.schema import FinishedTrial, Plan, PlannedTrial
from analysis.exports.selection import is_oracle
from analysis.tables.aggregate import Average, averages
from analysis.tables.difference import Difference, difference, verdict
from analysis.tables.pairing import Found, means, paired, rows_in
from analysis.tables.statistics import bootstrap, holm
from osr_core.errors import ConfigError

RANKED_BY = "auroc"


@dataclass(frozen=True)
class Place:
    """One row of a board; numbers are percent."""

    row: str
    method: str  # key in a spec
    order: int  # in the spec
    trials: tuple[str, ...]  # ids of those that are planned
    averages: Mapping[str, Average]  # by metric, fractions
    low: float | None  # 95 % bootstrap interval of the mean AUROC over splits; None of one split
    high: float | None
    splits: Mapping[int, float]  # AUROC by split, each the mean over its seeds
    oracle: bool
    imported: bool
    first: bool = False  # of its method, in the spec's order; pictures show it
    rank: int = 0  # 1 best; 0 for rows that lead nobody
    behind: Difference | None = None  # the leader less this row; None for the leader itself
    p_holm: float | None = None  # corrected over all rows of the board

    @property
    def mean(self) -> float | None:
        """AUROC in percent; None where nothing is finished."""
        mean = self.averages[RANKED_BY].mean
        return None if mean is None else 100 * mean

    @property
    def complete(self) -> bool:
        """Whether all of its trials are finished."""
        return not self.averages[RANKED_BY].missing


@dataclass(frozen=True)
class Board:
    """All rows of one dataset under one protocol."""

    anchor: str
    dataset: str
    protocol: str
    task: str  # numbers of classes in words; "" while nothing is finished
    places: tuple[Place, ...]  # best first
    lead: str  # who leads by how much, in a sentence
    verdict: str  # what that means; "" where nobody leads

    @property
    def best(self) -> Place | None:
        """The leader, if there is one."""
        return next((place for place in self.places if place.rank == 1), None)


def boards(plan: Plan, finished: Mapping[str, FinishedTrial]) -> tuple[Board, ...]:
    """The boards of a sweep, in the order of its spec."""
    groups: dict[tuple[str, str], list[PlannedTrial]] = defaultdict(list)
    for trial in plan.trials:
        groups[trial.dataset, plan.protocol_of(trial)].append(trial)
    labels = row_labels(plan.trials)
    made = []
    for number, ((dataset, protocol), trials) in enumerate(groups.items()):
        places = _places(replace(plan, trials=tuple(trials)), finished, labels)
        of_group = [finished[t.trial_id] for t in trials if t.trial_id in finished]
        anchor = f"board-{plan.sweep}-{number}"
        made.append(Board(anchor, dataset, protocol, _task(of_group), places, *_lead(places)))
    return tuple(made)


def _places(
    plan: Plan, finished: Mapping[str, FinishedTrial], labels: Mapping[str, str]
) -> tuple[Place, ...]:
    """The rows of one board, of whose trials the plan consists, best first."""
    rows: dict[str, list[PlannedTrial]] = defaultdict(list)
    for trial in plan.trials:
        rows[labels[trial.trial_id]].append(trial)
    places = [_place(n, row, of, finished) for n, (row, of) in enumerate(rows.items())]
    firsts: dict[str, int] = {}
    for place in places:
        if place.splits:
            firsts.setdefault(place.method, place.order)
    best_first = sorted(places, key=lambda place: (place.mean is None, -(place.mean or 0)))
    splits = {trial.split for trial in plan.trials}
    ranked = [
        place.row
        for place in best_first
        if place.complete and not place.oracle and place.splits.keys() == splits
    ]
    placed = [
        replace(
            place,
            rank=ranked.index(place.row) + 1 if place.row in ranked else 0,
            first=firsts.get(place.method) == place.order,
        )
        for place in best_first
    ]
    leader = next((place for place in placed if place.rank == 1), None)
    return tuple(_measured(placed, leader, _found(plan, finished, labels)) if leader else placed)


def _place(
    order: int,
    row: str,
    planned: Sequence[PlannedTrial],
    finished: Mapping[str, FinishedTrial],
) -> Place:
    by_split: dict[int, list[float]] = defaultdict(list)
    for trial in planned:
        if trial.trial_id in finished:
            by_split[trial.split].append(100 * finished[trial.trial_id][RANKED_BY])
    splits = {split: fmean(values) for split, values in sorted(by_split.items())}
    low, high = bootstrap(list(splits.values())) if len(splits) > 1 else (None, None)
    own = averages(planned, finished)
    of_metric = {metric: average for (_, _, metric), average in own.items()}
    return Place(
        row=row,
        method=planned[0].method,
        order=order,
        trials=tuple(trial.trial_id for trial in planned),
        averages=of_metric,
        low=low,
        high=high,
        splits=splits,
        oracle=any(is_oracle(trial.selection) for trial in planned),
        imported=any(trial.imported for trial in planned),
    )


def _found(
    plan: Plan, finished: Mapping[str, FinishedTrial], labels: Mapping[str, str]
) -> dict[str, Found]:
    """What `pairing` pairs, under the rows' names in the whole sweep."""
    names = row_labels(plan.trials)  # of this board alone
    found = rows_in([(plan, finished)])
    return {labels[i]: found[name] for i, name in names.items() if name in found}


def _measured(places: Sequence[Place], leader: Place, found: Mapping[str, Found]) -> list[Place]:
    """The places with what each is behind the leader, p-values corrected for all together."""
    behind = {
        place.row: _behind(leader.row, place.row, found)
        for place in places
        if place.row != leader.row
    }
    tested = {row: each.p_value for row, each in behind.items() if each}
    corrected = dict(zip(tested, holm(list(tested.values())), strict=True))
    return [
        replace(place, behind=behind.get(place.row), p_holm=corrected.get(place.row))
        for place in places
    ]


def _behind(leader: str, row: str, found: Mapping[str, Found]) -> Difference | None:
    """Over the splits and seeds that both have; None where there are none."""
    pair = {name: found[name] for name in (leader, row) if name in found}
    try:
        seeds = paired(pair) if len(pair) == 2 else {}
    except ConfigError:  # nothing that both have
        seeds = {}
    if not seeds:
        return None
    columns = (means(of, seeds) for of in pair.values())
    first, second = ([100 * task[RANKED_BY] for task in column.values()] for column in columns)
    return difference(first, second)


def _lead(places: Sequence[Place]) -> tuple[str, str]:
    """Who leads whom, and what that means."""
    ranked = [place for place in places if place.rank]
    if not ranked:
        return "No row has all of its trials yet, so none leads.", ""
    if len(ranked) == 1:
        rest = "the only row" if len(places) == 1 else "the only one to be ranked"
        return f"{ranked[0].row} is {rest}: there is nothing to compare it with.", ""
    first, second = ranked[:2]
    gap = second.behind
    if gap is None:
        return f"{first.row} has the best mean, and no seed in common with {second.row}.", ""
    meaning = verdict(gap, second.p_holm)
    if gap.mean == 0:
        return f"{first.row} and {second.row} are level, {_splits(gap)}.", meaning
    return (
        f"{first.row} leads {second.row} by {gap.mean:.1f} points of AUROC{interval(gap)}, "
        f"{_splits(gap)}.",
        f"{meaning}{_of_grid(first, places)}",
    )


def interval(gap: Difference) -> str:
    """Behind a difference, its interval: " [0.3, 2.1]"; "" of one split."""
    if gap.low is None or gap.high is None:
        return ""
    return f" [{round(gap.low, 1) + 0.0:.1f}, {round(gap.high, 1) + 0.0:.1f}]"


def _of_grid(first: Place, places: Sequence[Place]) -> str:
    """That the leader is the best of several settings by the very numbers that make it lead."""
    settings = sum(place.method == first.method for place in places)
    if settings == 1:
        return ""
    return (
        f" It is the best of {settings} settings of its method by these same numbers, which "
        "are of unknown test images: no fair choice."
    )


def _splits(gap: Difference) -> str:
    return "1 split" if gap.num_pairs == 1 else f"{gap.num_pairs} splits"


def _task(finished: Sequence[FinishedTrial]) -> str:
    if not finished:
        return ""
    first = finished[0]
    return f"{first['num_known']} known and {first['num_unknown']} unknown classes"
