"""A grid of real results that searches are replayed on: CAC on the digits, 200 settings, 5 splits.

Each number is what `held_out_classes_auroc` finds: AUROC of held-out training images of the inner
known classes against those of hidden ones. Twelve epochs, since after four the average of one
setting and of its twin 1 % beside it differ by more than a point, and after twelve by .3, so that
there is something to be found. Made anew by `python -m benchmarks.choices.search_grid`, in twenty
minutes on one core.
"""

import json
from pathlib import Path
from typing import Any

from benchmarks.in_process import Stages
from osr_core.data import benchmark
from osr_core.data.tasks import fingerprints
from sweeps.planning.spec import SweepSpec, parse_spec
from sweeps.search.subject import Subject

FILE = Path(__file__).with_name("search_grid.json")
RULE = "held_out_classes_auroc"
WEIGHTS = [round(0.003 * (1 / 0.003) ** (k / 9), 4) for k in range(10)]  # to 1
RATES = [round(0.003 * (0.5 / 0.003) ** (k / 19), 4) for k in range(20)]  # to 0.5


def spec_of(search: dict[str, Any]) -> SweepSpec:
    """The digits, five splits, a small network; a search over CAC's weight and learning rate."""
    space = {
        "anchor_weight": {"low": WEIGHTS[0], "high": WEIGHTS[-1], "log": True},
        "training.lr": {"low": RATES[0], "high": RATES[-1], "log": True},
    }
    values: dict[str, Any] = {"name": "grid", "datasets": ["digits"], "splits": [0, 1, 2, 3, 4]}
    values |= {"backbone": {"width": 0.125}}
    training = {"epochs": 12, "batch_size": 32, "warmup_epochs": 1}
    values |= {"training": {**training, "augmentation": {"crop_padding": 1}}}
    return parse_spec(
        {**values, "methods": {"cac": {"search": {"space": space, **search}}}}, "grid"
    )


def subject_of(search: dict[str, Any]) -> Subject:
    """What is searched for."""
    spec = spec_of(search)
    return Subject(spec, spec.searches[0], "digits", fingerprints(None, benchmark("digits")))


def main() -> None:
    """Measure what is not in the file yet, and write it after every setting."""
    found: dict[str, list[float]] = json.loads(FILE.read_text()) if FILE.exists() else {}
    subject = subject_of({})
    for weight in WEIGHTS:
        for rate in RATES:
            if f"{weight} {rate}" in found:
                continue
            steps = subject.trials({"anchor_weight": weight, "training.lr": rate})
            numbers = [Stages().run(step[RULE].score).metrics["validation/auroc"] for step in steps]
            found[f"{weight} {rate}"] = [round(number, 6) for number in numbers]
            FILE.write_text(json.dumps(found, indent=0) + "\n")
            print(weight, rate, found[f"{weight} {rate}"], flush=True)


if __name__ == "__main__":
    main()
