"""A grid of real results that searches are replayed on: CAC on the digits, 200 settings, 5 splits.

Each number is what `held_out_classes_auroc` finds: AUROC of held-out training images of the inner
known classes against those of hidden ones. Made anew by `python -m benchmarks.search_grid`, in half
an hour on one core.
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
WEIGHTS = [round(10 ** (-2 + 2 * k / 19), 4) for k in range(20)]  # 0.01 to 1
ALPHAS = [round(2 * 15 ** (k / 9), 2) for k in range(10)]  # 2 to 30


def spec_of(search: dict[str, Any]) -> SweepSpec:
    """The digits, five splits, a small network; a search over CAC's two settings."""
    space = {
        "anchor_weight": {"low": WEIGHTS[0], "high": WEIGHTS[-1], "log": True},
        "alpha": {"low": ALPHAS[0], "high": ALPHAS[-1], "log": True},
    }
    values: dict[str, Any] = {"name": "grid", "datasets": ["digits"], "splits": [0, 1, 2, 3, 4]}
    values |= {"backbone": {"width": 0.125}}
    training = {"epochs": 4, "batch_size": 32, "warmup_epochs": 1}
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
        for alpha in ALPHAS:
            if f"{weight} {alpha}" in found:
                continue
            steps = subject.trials({"anchor_weight": weight, "alpha": alpha})
            numbers = [Stages().run(step[RULE].score).metrics["validation/auroc"] for step in steps]
            found[f"{weight} {alpha}"] = [round(number, 6) for number in numbers]
            FILE.write_text(json.dumps(found, indent=0) + "\n")
            print(weight, alpha, found[f"{weight} {alpha}"], flush=True)


if __name__ == "__main__":
    main()
