"""A search without a cluster: trials answer by a formula, in an order of one's choice."""

import random
from collections.abc import Callable, Mapping
from typing import Any

from osr_core.data import benchmark
from osr_core.data.tasks import fingerprints
from sweeps.planning.plan import PlannedTrial
from sweeps.planning.spec import SweepSpec, parse_spec
from sweeps.search.budget import Budget
from sweeps.search.candidate import Candidate
from sweeps.search.study import Known, Study
from sweeps.search.subject import Subject
from sweeps.store.store import Store

Formula = Callable[[PlannedTrial], Mapping[str, float] | str]
SPACE = {"anchor_weight": {"low": 0.01, "high": 1.0, "log": True}, "alpha": [5.0, 10.0, 20.0]}


def spec_with(search: Mapping[str, Any], **changes: Any) -> SweepSpec:
    """Five splits of the digits and a search over CAC's settings."""
    values = {"name": "searching", "datasets": ["digits"], "splits": [0, 1, 2, 3, 4]}
    methods = {"cac": {"search": {"space": SPACE, "candidates": 24, "lag": 4, **search}}}
    return parse_spec({**values, "methods": methods, **changes}, "searching")


def study_of(spec: SweepSpec, store: Store, before: Known = ()) -> Study:  # type: ignore[assignment]
    """The study of a spec's first search."""
    found = fingerprints(None, benchmark(spec.datasets[0]))
    subject = Subject(spec, spec.searches[0], spec.datasets[0], found)
    return Study(subject, store.memories, Budget(store), lambda: list(before))


def smooth(trial: PlannedTrial) -> Mapping[str, float]:
    """Best at anchor_weight 0.1 and alpha 10; splits differ, and a little of it is chance."""
    import math

    weight, alpha = trial.hyperparameters["anchor_weight"], trial.hyperparameters["alpha"]
    off = math.log10(weight / 0.1) ** 2 + abs(alpha - 10) / 50
    chance = random.Random(f"{weight} {alpha} {trial.split.index}").gauss(0, 0.004)
    number = 0.9 - 0.1 * off - 0.02 * trial.split.index + chance
    return {"validation/auroc": number, "validation/oscr": number, "validation/accuracy": number}


def play(
    make: Callable[[], Study], formula: Formula, *, seed: int, at_once: int, deaths: int = 0
) -> Study:
    """Run a study to its end; trials end in a random order, and drivers die now and then."""
    draw = random.Random(seed)
    died = 0
    while True:
        study, running = make(), []
        while True:
            running += study.advance()
            if not running:
                return study
            trial = running.pop(draw.randrange(min(at_once, len(running))))
            study.note(trial.id, formula(trial))
            if died < deaths and draw.random() < 0.2:
                died += 1
                break  # the next driver knows what the store knows


def told(study: Study) -> list[tuple[Any, ...]]:
    """Everything that is said of each candidate."""
    return [(c.number, dict(c.params), c.state, c.values, c.reason) for c in study.candidates]


def complete(candidates: list[Candidate]) -> list[int]:
    """The numbers of those that have met all splits."""
    return [each.number for each in candidates if each.state == "complete"]
