"""What the papers' tables say of data and training beside metrics, read from finished trials."""

import json
from collections.abc import Callable, Iterable, Mapping

from analysis.exports.schema import FinishedTrial

Fact = Callable[[FinishedTrial, Iterable[FinishedTrial]], str | None]  # one, and all of its sweep


def _input(trial: FinishedTrial, _: Iterable[FinishedTrial]) -> str:
    network = json.loads(trial["backbone"])
    size = network["image_size"]
    return f"{network['channels']}x{size}x{size}"


def _phases(trial: FinishedTrial, _: Iterable[FinishedTrial]) -> str:
    """Learning rates and for how many epochs, as CAC's Table 4 has them."""
    training = json.loads(trial["training"])
    ends = [round(part * training["epochs"]) for part in (*training["drops"], 1)]
    starts = [0, *ends[:-1]]
    rates = [training["lr"] * training["drop_factor"] ** number for number in range(len(ends))]
    return " + ".join(
        f"{rate:g} x {end - start}" for rate, start, end in zip(rates, starts, ends, strict=True)
    )


def _extra_parameters(trial: FinishedTrial, finished: Iterable[FinishedTrial]) -> str | None:
    """Parameters beyond those of Softmax on the same dataset, as PMAL's Table 2 has them."""
    plain = [
        other["num_parameters"]
        for other in finished
        if other["title"] == "Softmax" and other["dataset"] == trial["dataset"]
    ]
    if trial["num_parameters"] is None or not plain or plain[0] is None:
        return None
    extra = trial["num_parameters"] - plain[0]
    return "0" if extra == 0 else f"{round(extra / 1e6, 1):g}M"


FACTS: Mapping[str, Fact] = {
    "input": _input,
    "train_images_per_class": lambda trial, _: None,
    "known": lambda trial, _: str(trial["num_known"]),
    "unknown": lambda trial, _: str(trial["num_unknown"]),
    "openness": lambda trial, _: f"{100 * trial['openness']:.1f}",
    "phases": _phases,
    "dropout": lambda trial, _: f"{json.loads(trial['backbone'])['dropout']:g}",
    "extra_params": _extra_parameters,
}
