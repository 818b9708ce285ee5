"""What a sweep would cost and how far it is, before anything starts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from osr_core.data import BENCHMARKS
from osr_core.data.checks import remarks
from osr_core.data.sizes import num_train_images
from osr_core.data.splits import protocols
from osr_core.errors import MissingDataError
from osr_core.stage import Stage
from sweeps.home import Home
from sweeps.launch.caution import Canaries
from sweeps.launch.changed import changed_stages
from sweeps.launch.estimate import Estimate, estimate
from sweeps.planning import cost
from sweeps.planning.data import (
    counted_images,
    partial_data,
    placeholders,
    plan_with_data,
    small_classes,
    unused_classes,
)
from sweeps.planning.known_data import KnownData
from sweeps.planning.plan import Plan, make_plan, remaining
from sweeps.planning.shared_fits import shared_fits
from sweeps.planning.spec import SweepSpec
from sweeps.search.sources import source_records
from sweeps.search.subject import remarks as remarks_on_searches
from sweeps.store.shared_data import SharedData
from sweeps.store.store import Store
from sweeps.store.sweep_names import name_taken

MEANINGS = {
    "trials": "results in the table's cells",
    "stages": "distinct pieces of work",
    "fits": "of them training a network",
    "shared": "stages that more than one trial uses",
    "fits_saved": "fits that running trial by trial would repeat",
    "epochs": "of all fits together",
    **cost.MEANINGS,
    "done": "stages found in the store",
    "to_run": "stages that `osr run` would start",
}
COMPARED = ("fits", "epochs")  # of a plan's counts, where sweeps are compared


@dataclass(frozen=True)
class Outlook:
    """A plan, and what of it `osr run` would still do."""

    plan: Plan
    done: set[str]  # ids of stages
    todo: list[Stage]
    missing_data: str | None = None  # without it the counts are exact, but nothing counts as done
    name_taken: str | None = None  # why `osr run` would refuse the spec under its name
    changed: Sequence[Stage] = ()  # done, by other code than this
    remarks: Sequence[str] = ()  # on the data and the splits
    estimate: Estimate = field(default_factory=lambda: Estimate((), {}))
    count_images: cost.CountImages = num_train_images

    @property
    def searches(self) -> list[dict[str, Any]]:
        """What each search can cost at most, besides the plan's counts."""
        return of_searches(self.plan)

    @property
    def first(self) -> list[str]:
        """The methods of which one trial goes first; see `caution`."""
        return sorted(Canaries(self.plan, self.todo).first)

    @property
    def counts(self) -> dict[str, float | None]:
        """A number for each of MEANINGS; None where it is not known beforehand."""
        of_fits = cost.cost(self.plan.stages.values(), self.count_images)
        done = None if self.missing_data else len(self.done)
        here = {"done": done, "to_run": len(self.todo)}
        return {**self.plan.counts(), **of_fits, **here}

    def facts(self) -> dict[str, Any]:
        """Everything, as plain JSON."""
        return {
            "sweep": self.plan.spec.name,
            **self.counts,
            "shared_fits": shared_fits(self.plan),
            "searches_at_most": self.searches,
            "first": self.first,
            "estimate": self.estimate.facts(),
            "kinds": {kind.name: count for kind, count in self.plan.kinds().items()},
            "missing_data": self.missing_data,
            "name_taken": self.name_taken,
            "remarks": list(self.remarks),
            "changed": [self.plan.describe(stage) for stage in self.changed],
            "missing": [vars(left_out) for left_out in self.plan.spec.missing],
        }


def from_nothing(spec: SweepSpec, flops_a_second: float) -> list[dict[str, Any]]:
    """A row for a sweep of which nothing is done: what its fits cost, and hours at this rate.

    Another for each of its searches: the most that it can cost besides.
    """
    plan = make_plan(spec, placeholders(spec.datasets))
    rows: list[dict[str, Any]] = [
        {"sweep": spec.name, **plan.counts(), **cost.cost(plan.stages.values())}
    ]
    rows += [
        {**row, "sweep": f"{spec.name}, search of {row['method']} on {row['dataset']}, at most"}
        for row in of_searches(plan)
    ]
    return [
        {name: row[name] for name in ("sweep", *COMPARED, *cost.MEANINGS)}
        | {"GPU hours": None if row["flops"] is None else row["flops"] / flops_a_second / 3600}
        for row in rows
    ]


def of_searches(plan: Plan) -> list[dict[str, Any]]:
    """What each search of a plan's spec can cost at most; see `search.most`."""
    if not plan.spec.searches:
        return []
    from sweeps.search.most import at_most  # Optuna takes a second to import

    return at_most(plan)


def outlook(spec: SweepSpec, home: Home, data_root: Path | None) -> Outlook:
    """Plan a sweep and look at what of it the store has; makes nothing.

    Raises:
        DataError: files that are broken, or do not fit the spec.
        ConfigError: a search goes on from a sweep that the store does not have.
    """
    store, told = Store.existing(home.store), SharedData.at(home.store).facts
    data = KnownData(data_root, told)
    try:
        plan = plan_with_data(spec, data_root, told)
    except MissingDataError as error:
        plan = make_plan(spec, placeholders(spec.datasets))
        todo = remaining(plan, set(), set())
        took = estimate(plan, todo, store)
        return Outlook(plan, set(), todo, missing_data=str(error), estimate=took)
    counts = cache(data.counts)
    said = [*remarks_on(spec, data), *unused_classes(plan, data_root, counts)]
    said += [*partial_data(plan, counts), *small_classes(plan, data_root, counts)]
    said += remarks_on_searches(plan)
    count = counted_images(counts)
    if store is None:
        todo = remaining(plan, set(), set())
        took = estimate(plan, todo, None)
        return Outlook(plan, set(), todo, remarks=said, estimate=took, count_images=count)
    for search in spec.searches:
        source_records(search, store)
    done = store.committed(plan.stages)
    todo = remaining(plan, done, store.to_make_again(plan.stages))
    taken = name_taken(store, spec.name, spec.plain(), {trial.id for trial in plan.trials})
    changed = changed_stages(plan.stages, store, done)
    return Outlook(
        plan,
        done,
        todo,
        name_taken=taken,
        changed=changed,
        remarks=said,
        estimate=estimate(plan, todo, store),
        count_images=count,
    )


def remarks_on(spec: SweepSpec, data: KnownData) -> list[str]:
    """What a user should know of a sweep's data, as far as they are here, and class lists."""
    here = filter(data.is_here, spec.datasets)
    said = [each for name in here for each in remarks(data.root, BENCHMARKS[name])]
    for protocol in spec.protocols:
        listed = protocols().get(protocol)
        if listed and listed.notes_on(*spec.datasets):
            one = "" if spec.datasets[1:] else f" {spec.datasets[0]}"
            ask = f"osr splits{one} --protocol {protocol}"
            said.append(f"the class lists of protocol {protocol} have known peculiarities: `{ask}`")
    return said
