"""What a plan will take of GPUs and money, from the times of similar stages before.

Like stages are of one kind, method, data set and network; their time is taken to grow with their
effort, a fit's epochs. A stage that is like none in the store is unknown, and not guessed at.
"""

import math
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import mean
from typing import Any, NamedTuple

from osr_core.errors import ConfigError
from osr_core.kinds import Kind
from osr_core.results.commit import Commit
from osr_core.stage import Stage
from sweeps.launch.caution import method_of
from sweeps.planning.likeness import Group, likeness
from sweeps.planning.plan import Plan
from sweeps.running.packing import is_of
from sweeps.store.files import StoreError, at_once
from sweeps.store.store import Store

PRICES = "OSR_PRICES"
MOST = 8  # markers that are read for stages of one kind, method and data set
CPU = "CPU"


class Took(NamedTuple):
    """How long a stage occupied what it ran on, for each unit of its effort."""

    hardware: str
    seconds: float  # times the GPUs that it had; on a CPU, as they passed
    wall_s: float  # as they passed


class Share(NamedTuple):
    """What one sort of hardware will do of a plan: GPU hours; on a CPU, hours of one stage."""

    hardware: str
    stages: int
    hours: float
    at_least: float  # if each stage takes as little as the quickest that is like it
    at_most: float
    cost: float | None  # of `hours`; None: no price is known


@dataclass(frozen=True)
class Estimate:
    """Of the stages that are to run."""

    shares: Sequence[Share]
    unknown: Mapping[str, int]  # "fit cac on digits" -> number of stages that are like no other

    def facts(self) -> dict[str, Any]:
        """As plain JSON."""
        return {"shares": [each._asdict() for each in self.shares], "unknown": dict(self.unknown)}


def estimate(plan: Plan, todo: Sequence[Stage], store: Store | None) -> Estimate:
    """Look up what stages like those in `todo`, of a plan, took.

    Raises:
        ConfigError: prices that are none.
    """
    known = prices(os.environ.get(PRICES, ""))
    seen = took_before(like_stages(plan, todo, store)) if store is not None else {}
    unknown: Counter[str] = Counter()
    sums: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for stage in todo:
        took = seen.get(likeness(stage.kind.name, stage.config))
        if not took:
            kind, method, dataset = place_of(plan, stage)
            unknown[f"{kind} {method} on {dataset}"] += 1
            continue
        hardware = Counter(each.hardware for each in took).most_common(1)[0][0]
        rates = [each.seconds for each in took if each.hardware == hardware]
        hours = stage.effort / 3600
        sums[hardware].append((hours * mean(rates), hours * min(rates), hours * max(rates)))
    shares = []
    for hardware, each in sums.items():
        hours, at_least, at_most = (sum(column) for column in zip(*each, strict=True))
        price = price_of(hardware, known)
        cost = None if price is None else hours * price
        shares.append(Share(hardware, len(each), hours, at_least, at_most, cost))
    return Estimate(shares, unknown)


def like_stages(plan: Plan, todo: Sequence[Stage], store: Store) -> list[tuple[Kind, Commit]]:
    """Finished stages of any sweep, of the kind, method and data set of some of `todo`."""
    kinds = {place_of(plan, stage): stage.kind for stage in todo}
    found: dict[tuple[str, str, str], dict[str, None]] = defaultdict(dict)
    for name in store.sweeps():
        record = store.sweep(name) or {"stages": [], "trials": []}
        datasets = {trial["trial_id"]: trial["dataset"] for trial in record["trials"]}
        for facts in record["stages"]:
            dataset = facts.get("dataset") or datasets.get(facts["stage_id"], "")
            place = (facts["kind"], facts["method"], dataset)
            if place in kinds:
                found[place][facts["stage_id"]] = None
    done = store.committed({stage_id for ids in found.values() for stage_id in ids})
    asked = [
        (kinds[place], stage_id)
        for place, ids in found.items()
        for stage_id in [each for each in ids if each in done][:MOST]
    ]
    commits = at_once(partial(read_commit, store), [stage_id for _, stage_id in asked])
    pairs = zip(asked, commits, strict=True)
    return [(kind, commit) for (kind, _), commit in pairs if commit is not None]


def took_before(finished: Iterable[tuple[Kind, Commit]]) -> dict[Group, list[Took]]:
    """What stages took, by what makes them alike."""
    seen: dict[Group, list[Took]] = defaultdict(list)
    for kind, commit in finished:
        config = commit.stage["config"]
        made = made_by_last_attempt(commit) or kind.effort(config)
        seen[likeness(kind.name, config)].append(took(commit, made))
    return seen


def read_commit(store: Store, stage_id: str) -> Commit | None:
    """A stage's marker; None where it is damaged or gone."""
    try:
        return store.read_commit(stage_id)
    except StoreError:
        return None


def made_by_last_attempt(commit: Commit) -> int:
    """How many epochs the attempt made whose time the marker tells; 0: that is not known."""
    return sum(at is not None and at >= commit.started_at for at in commit.epochs_at)


def took(commit: Commit, effort: float) -> Took:
    """What a stage took for each unit of its effort."""
    machine = commit.machine
    if machine.get("device") == "cuda":
        return Took(machine["hardware"], machine["gpu_s"] / effort, commit.wall_s / effort)
    return Took(CPU, commit.wall_s / effort, commit.wall_s / effort)


def seen_before(plan: Plan, todo: Sequence[Stage], store: Store) -> list[tuple[Kind, Commit]]:
    """As `like_stages`; none where the store does not answer."""
    try:
        return like_stages(plan, todo, store)
    except StoreError:
        return []


def paces(finished: Iterable[tuple[Kind, Commit]]) -> dict[Group, list[float]]:
    """Seconds that stages took for each unit of effort, by what makes them alike."""
    seen = took_before(finished)
    return {group: [each.wall_s for each in took] for group, took in seen.items()}


def place_of(plan: Plan, stage: Stage) -> tuple[str, str, str]:
    """Kind, method and data set, as a record says them."""
    trial = plan.trial_of.get(stage.id)
    dataset = trial.split.benchmark if trial else stage.config.get("task", {}).get("dataset", "")
    return stage.kind.name, method_of(stage), dataset


def prices(text: str) -> dict[str, float]:
    """Prices of an hour by the name of hardware: "H100=3.5, L4=0.8".

    Raises:
        ConfigError: it says something else.
    """
    found = {}
    for part in filter(None, map(str.strip, text.split(","))):
        name, equals, price = part.rpartition("=")
        try:
            found[name.strip()] = float(price)
        except ValueError:
            equals = ""
        if not (equals and name.strip() and 0 <= found[name.strip()] < math.inf):
            raise ConfigError(
                f"{PRICES} must be names of hardware, each with the price of an hour, such as "
                f"'H100=3.5, L4=0.8', not '{text}'."
            )
    return found


def price_of(hardware: str, known: Mapping[str, float]) -> float | None:
    """The price of the longest name whose words are in a hardware's; None: there is none."""
    names: Iterable[str] = (name for name in known if is_of(name, hardware))
    longest = max(names, key=len, default=None)
    return None if longest is None else known[longest]
