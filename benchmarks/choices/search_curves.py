"""Curves of real results that rungs are replayed on: CAC on the digits, 30 settings, 3 splits.

Settings are drawn at random over the anchor weight and the learning rate, which spans three powers
of ten and more. Of each, the file has what `held_out_classes_auroc` finds after 2, 4 and all 8
epochs of one schedule. Made anew by `python -m benchmarks.choices.search_curves`, in ten minutes.
"""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.in_process import Stages
from osr_core.data import benchmark
from osr_core.data.tasks import fingerprints
from sweeps.planning.spec import parse_spec
from sweeps.search.subject import Subject

FILE = Path(__file__).with_name("search_curves.json")
RUNGS, EPOCHS, SPLITS, SETTINGS = (2, 4), 8, 3, 30
SPACE = {
    "anchor_weight": {"low": 0.01, "high": 1.0, "log": True},
    "training.lr": {"low": 1e-4, "high": 0.3, "log": True},
}


def subject_of(search: dict[str, Any]) -> Subject:
    """A search over the two settings, on a small network."""
    values: dict[str, Any] = {"name": "curves", "datasets": ["digits"]}
    values |= {"splits": [*range(SPLITS)], "backbone": {"width": 0.125}}
    values |= {"training": {"epochs": EPOCHS, "batch_size": 32, "warmup_epochs": 0}}
    methods = {"cac": {"search": {"space": SPACE, **search}}}
    spec = parse_spec({**values, "methods": methods}, "curves")
    return Subject(spec, spec.searches[0], "digits", fingerprints(None, benchmark("digits")))


def settings() -> Iterator[dict[str, float]]:
    """The settings of the file, in its order."""
    draw = random.Random(0)
    for _ in range(SETTINGS):
        weight, rate = 10 ** draw.uniform(-2, 0), 10 ** draw.uniform(-4, -0.523)
        yield {"anchor_weight": weight, "training.lr": rate}


def main() -> None:
    """Measure them all, and write the file after every setting."""
    subject, found = subject_of({"rungs": list(RUNGS)}), []
    for params in settings():
        stages, curve = Stages(), dict[str, list[float]]()
        for step in subject.trials(params):
            for name, trial in step.items():
                number = stages.run(trial.score).metrics["validation/auroc"]
                curve.setdefault(name, []).append(round(number, 6))
        found.append(curve)
        FILE.write_text(json.dumps(found, indent=0) + "\n")
        print(params, curve, flush=True)


if __name__ == "__main__":
    main()
