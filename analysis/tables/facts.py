"""What the papers' tables say of data and training beside metrics, read from finished trials."""

import json
from collections.abc import Callable, Mapping

from analysis.exports.schema import FinishedTrial

Fact = Callable[[FinishedTrial], str | None]


def _input(trial: FinishedTrial) -> str:
    network = json.loads(trial["backbone"])
    size = network["image_size"]
    return f"{network['channels']}x{size}x{size}"


def _phases(trial: FinishedTrial) -> str:
    """Learning rates and for how many epochs, as CAC's Table 4 has them."""
    training = json.loads(trial["training"])
    ends = [round(part * training["epochs"]) for part in (*training["drops"], 1)]
    starts = [0, *ends[:-1]]
    rates = [training["lr"] * training["drop_factor"] ** number for number in range(len(ends))]
    return " + ".join(
        f"{rate:g} x {end - start}" for rate, start, end in zip(rates, starts, ends, strict=True)
    )


def _additional_parameters(trial: FinishedTrial) -> str | None:
    """Prototypes and reciprocal points, rounded as PMAL's Table 2 is: 4.1 million are "4M"."""
    if (number := trial["num_additional_parameters"]) is None:
        return None
    if number == 0:
        return "0"
    return f"{number / 1e6:.{0 if number >= 1e6 else 1}f}M"


FACTS: Mapping[str, Fact] = {
    "input": _input,
    "train_images_per_class": lambda trial: None,
    "known": lambda trial: str(trial["num_known"]),
    "unknown": lambda trial: str(trial["num_unknown"]),
    "openness": lambda trial: f"{100 * trial['openness']:.1f}",
    "phases": _phases,
    "dropout": lambda trial: f"{json.loads(trial['backbone'])['dropout']:g}",
    "extra_params": _additional_parameters,
}
