"""Which reading of PMAL's robustness measures quality: all of them on five small tasks.

Of each task four classifiers are trained that differ only by their seeds. Two of them give each
training image its robustness r; the other two have no part in it. For each mode of
`osr_core.methods.pmal.topology`, within each class, and averaged over classes, pairs and held-out
classifiers:

    confidence           rank correlation of r with the probability that a held-out classifier gives
                         to the image's own class
    correct              chance that, of an image that a held-out classifier gets right and one that
                         it gets wrong, the former has the larger r; None where all are right
    accuracy_by_quarter  a held-out classifier's accuracy on the quarter of lowest r to the highest
    agreement            rank correlation of the r of two pairs that share no classifier
    top_quarter_shared   how much of a pair's most robust quarter the other pair has in its own; by
                         chance 0.25
    prototypes_shared    how many of a pair's T = 10 prototypes at epsilon = 0.7 the other pair has;
                         modes leave other numbers of candidates, so chance differs between them
    shared_of_half       the same with the more robust half of the class as candidates, so that all
                         modes choose from as many: by chance 20 / n at most, of n images
    spread               of what a mode is chosen by, the standard deviation over pairs; it holds
                         no second seed and no other split, so less of it proves nothing
    equal_norms          rank correlation of r with how little the two classifiers' logit norms
                         differ, each divided by its mean: what r should not be
    candidates           share of images over epsilon, by epsilon
    by_correlation       the same if r were the correlation of the rows itself, unscaled
    test                 of PMAL with the first two classifiers: accuracy, and AUROC by distance
                         (DR) and by probability (PR). It rests on test unknowns: no default may be
                         chosen by it

Budgets, in TASKS, are far from published ones. A task whose data are not under OSR_DATA is left
out. An hour on one core.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import mean, stdev
from typing import Any

import torch
from scipy.stats import spearmanr
from torch import Tensor

from benchmarks.in_process import Stages
from osr_core.backbones import resolve_backbone
from osr_core.config import as_dict
from osr_core.data import BENCHMARKS, UNKNOWN
from osr_core.data.splits import class_split
from osr_core.data.tasks import fingerprints
from osr_core.errors import DataError
from osr_core.generators import generator_for
from osr_core.methods.pmal.config import PMALConfig
from osr_core.methods.pmal.method import PMAL
from osr_core.methods.pmal.mining import candidates, prototypes_of_class
from osr_core.methods.pmal.topology import (
    MODES,
    centred,
    log_robustness,
    pair_errors,
    reference_images,
    standardised,
)
from osr_core.methods.softmax import Softmax
from osr_core.metrics import auroc
from osr_core.recipes import Augmentation, Training
from osr_core.stage import Stage
from osr_core.trial import Trial

MEMBERS = range(4)
PAIRS = list(combinations(MEMBERS, 2))
EPSILONS = (0.1, 0.3, 0.5, 0.7, 0.9)
TINY = 1e-12  # a row that does not correlate has hardly any r
CRITERIA = ("confidence", "correct", "agreement", "top_quarter_shared", "prototypes_shared")
REJECTIONS = {"DR": "distance", "PR": "probability"}


@dataclass(frozen=True, kw_only=True)
class Task:
    """Split 0 of protocol cac at a budget for one core."""

    dataset: str
    width: float  # of the OSRCI network
    side: int  # pixels
    epochs: int  # of each classifier
    final_epochs: int  # of PMAL's own fit, which starts from the first classifier
    batch_size: int = 64
    padding: int = 4  # of the random crop

    def trial(self, stages: Stages, **settings: str | bool) -> Trial:
        """PMAL with these settings."""
        benchmark = BENCHMARKS[self.dataset]
        return Trial(
            method=PMAL,
            config=PMALConfig(**settings),  # type: ignore[arg-type]
            split=class_split(self.dataset, "cac", 0),
            fingerprints=fingerprints(stages.data_root, benchmark),
            backbone=resolve_backbone(
                {"width": self.width}, image_size=self.side, channels=benchmark.known.channels
            ),
            training=Training(
                epochs=self.epochs,
                batch_size=self.batch_size,
                lr=0.05,
                warmup_epochs=1,
                augmentation=Augmentation(crop_padding=self.padding, flip=benchmark.known.mirrored),
            ),
            seed=0,
        )


TASKS = (
    Task(
        dataset="digits", width=0.25, side=16, epochs=30, final_epochs=10, batch_size=32, padding=1
    ),
    Task(dataset="mnist", width=0.125, side=32, epochs=3, final_epochs=1, padding=2),
    Task(dataset="cifar10", width=0.125, side=32, epochs=15, final_epochs=3),
    Task(dataset="cifar+10", width=0.25, side=32, epochs=25, final_epochs=3),
    Task(dataset="tinyimagenet", width=0.125, side=32, epochs=8, final_epochs=2),
)


def measure() -> list[dict[str, Any]]:
    """One row per task and mode."""
    stages, rows = Stages(), []
    for task in TASKS:
        try:
            for row in measured(stages, task):
                print("   " + "  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
                rows.append(row)
        except DataError as error:
            print(f"   {task.dataset} left out: {error}")
    return rows


def measured(stages: Stages, task: Task) -> Iterator[dict[str, Any]]:
    """A row for each mode."""
    trial = task.trial(stages)
    fits = [trial.fit(Softmax, member=u) for u in MEMBERS]
    logits = [stages.train_logits(fit).double() for fit in fits]
    label = stages.train_images(fits[0]).labels
    right = torch.stack([each.argmax(1) == label for each in logits])
    about = {**vars(task), "images": len(label), "classes": int(label.max()) + 1}
    about["train_accuracy"] = round(float(right.double().mean()), 4)
    about["by_correlation"] = by_correlation([centred(each) for each in logits[:2]], label)
    for mode in MODES:
        row = {**about, "mode": mode, **quality(logits, label, mode)}
        yield {**row, "test": tested(stages, task, mode)}


def quality(logits: Sequence[Tensor], label: Tensor, mode: str) -> dict[str, Any]:
    """What needs no test image, from logits (N, K) of each classifier and labels (N,)."""
    points = [centred(each) for each in logits]
    log_r = {pair: log_robustness([points[u] for u in pair], mode) for pair in PAIRS}
    norms = [each.norm(dim=1) / each.norm(dim=1).mean() for each in points]
    by_pair = []
    for pair in PAIRS:
        found: dict[str, list[float]] = defaultdict(list)
        first, second = (u for u in MEMBERS if u not in pair)
        others = (first, second)
        for k in sorted(set(label.tolist())):
            own = label == k
            r, r_of_others = log_r[pair][own], log_r[others][own]
            compare(found, r, r_of_others, (points[pair[0]][own], points[others[0]][own]))
            differ = (norms[pair[0]] - norms[pair[1]]).abs()[own]
            found["equal_norms"].append(rank_correlation(r, -differ))
            for u in others:
                compare_held_out(found, r, logits[u][own], k)
        by_pair.append(found)
    names = dict.fromkeys(name for found in by_pair for name in found)
    means = averaged({name: [v for found in by_pair for v in found[name]] for name in names})
    return {**means, "spread": {name: spread(by_pair, name) for name in CRITERIA}}


def spread(by_pair: Sequence[Mapping[str, Sequence[float]]], name: str) -> float | None:
    """Standard deviation over pairs of each pair's mean; None where fewer than two have one."""
    means = [mean(found[name]) for found in by_pair if found.get(name)]
    return round(stdev(means), 4) if len(means) > 1 else None


def compare(
    found: dict[str, list[float]], r: Tensor, r_of_others: Tensor, points: Iterable[Tensor]
) -> None:
    """What two pairs say of one class: log r (n,) of each, and where each sees the images."""
    found["agreement"].append(rank_correlation(r, r_of_others))
    quarter = len(r) // 4
    top = [set(each.argsort(descending=True)[:quarter].tolist()) for each in (r, r_of_others)]
    found["top_quarter_shared"].append(len(top[0] & top[1]) / quarter)
    found["prototypes_shared"].append(shared(points, (r, r_of_others), 0.7))
    halves = [each.where(each >= each.median(), -torch.inf) for each in (r, r_of_others)]
    found["shared_of_half"].append(shared(points, halves, 0))
    for epsilon in EPSILONS:
        share = len(candidates(r, epsilon, 0)) / len(r)
        found[f"candidates/{epsilon}"].append(share)


def shared(points: Iterable[Tensor], log_r: Iterable[Tensor], epsilon: float) -> float:
    """Share of ten prototypes at epsilon (of all with an r, at 0) that both pairs choose."""
    mined = []
    for seen, own in zip(points, log_r, strict=True):
        there = own.isfinite().nonzero()[:, 0]
        chosen = prototypes_of_class(
            seen[there],
            own[there],
            epsilon=epsilon,
            count=10,
            diversity="nearest_better",
            generator=generator_for("unused"),
        )
        mined.append(set(there[chosen].tolist()))
    return len(mined[0] & mined[1]) / 10


def compare_held_out(found: dict[str, list[float]], r: Tensor, logits: Tensor, k: int) -> None:
    """What a classifier without part in log r (n,) says of the images of class k: (n, K)."""
    found["confidence"].append(rank_correlation(r, logits.log_softmax(1)[:, k]))
    right = logits.argmax(1) == k
    if right.any() and not right.all():
        found["correct"].append(auroc(r.numpy(), torch.where(right, UNKNOWN, 0).numpy()))
    for number, quarter in enumerate(right[r.argsort()].double().tensor_split(4)):
        found[f"accuracy_by_quarter/{number}"].append(float(quarter.mean()))


def rank_correlation(one: Tensor, other: Tensor) -> float:
    """Spearman's, of (n,) and (n,)."""
    return float(spearmanr(one.numpy(), other.numpy()).statistic)


def averaged(found: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """The mean of each list; names with a slash become tables of their own."""
    means: dict[str, Any] = {"correct": None}
    for name, values in found.items():
        table, _, key = name.partition("/")
        average = round(mean(values), 4)
        if key:
            means.setdefault(table, {})[key] = average
        else:
            means[name] = average
    return means


def by_correlation(points: Sequence[Tensor], label: Tensor) -> dict[str, float]:
    """By epsilon, the share of candidates where r is the correlation of two classifiers' rows."""
    first, second = points
    error = pair_errors(first, second, reference_images(len(label)), standardised)
    log_r = (1 - error.square() / 2).clamp_min(TINY).log()
    classes = [log_r[label == k] for k in sorted(set(label.tolist()))]
    shares = {str(e): [len(candidates(r, e, 0)) / len(r) for r in classes] for e in EPSILONS}
    return {epsilon: round(sum(each) / len(each), 4) for epsilon, each in shares.items()}


def tested(stages: Stages, task: Task, mode: str) -> dict[str, float]:
    """Test accuracy and AUROC of PMAL whose prototypes the first two classifiers have found."""
    numbers: dict[str, float] = {}
    for name, rejection in REJECTIONS.items():
        trial = task.trial(stages, robustness=mode, rejection=rejection)
        final = last_fit(trial, replace(trial.training, epochs=task.final_epochs))
        metrics = stages.run(replace(trial.score, inputs={"model": final})).metrics
        numbers["accuracy"] = round(metrics["test/accuracy"], 4)
        numbers[f"auroc_{name}"] = round(metrics["test/auroc"], 4)
    return numbers


def last_fit(trial: Trial, training: Training) -> Stage:
    """PMAL's own fit with another schedule; its classifiers keep the trial's."""
    fit = trial.model
    return replace(fit, config={**fit.config, "training": as_dict(training)})
