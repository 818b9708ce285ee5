"""Recipes: the network options and the training schedule of a fit.

`common` is one recipe for all methods; `Method.published` gives each paper's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from osr_core.config import check, setting
from osr_core.data.base import Benchmark


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Random changes of a training image, in this order; drawn anew for each image and epoch."""

    randaugment_ops: int = setting(
        0, "RandAugment's operations for each image (N); 0 is none", at_least=0, at_most=14
    )
    randaugment_magnitude: int = setting(
        6, "RandAugment's strength (M; Vaze et al.: 6 for CIFAR-10)", at_least=0, at_most=30
    )
    randaugment_moves: bool = setting(
        False, "whether RandAugment also rotates and translates (Vaze et al.: not digits)"
    )
    scale: float = setting(
        1.0, "smallest area of the random resized crop, as a fraction", above=0, at_most=1
    )
    crop_padding: int = setting(
        0, "pixels of zero padding around a random crop", at_least=0, at_most=1000
    )
    flip: bool = setting(False, "mirror left to right, with probability one half")
    rotation: float = setting(0.0, "largest angle, degrees", at_least=0, at_most=180)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class Training:
    """Optimiser and schedule of a fit; `drops` are fractions, so that `epochs` can be changed."""

    epochs: int = setting(200, "passes over the known training images", at_least=1)
    batch_size: int = setting(128, "images", at_least=2)
    optimizer: str = setting("sgd", "update rule", choices=("sgd", "adam"))
    lr: float = setting(0.1, "learning rate at its peak", above=0)
    momentum: float = setting(0.9, "SGD momentum, or Adam's beta1", at_least=0, below=1)
    weight_decay: float = setting(1e-4, "L2 penalty", at_least=0)
    schedule: str = setting("cosine", "shape of the learning rate", choices=("cosine", "steps"))
    cycles: int = setting(1, "cosine: number of warm restarts plus one", at_least=1)
    warmup_epochs: int = setting(
        0, "linear rise of the learning rate; a tenth of the first cycle at most", at_least=0
    )
    drops: tuple[float, ...] = setting(
        (), "steps: where the learning rate falls, as fractions of epochs", above=0, below=1
    )
    drop_factor: float = setting(0.1, "steps: what it is multiplied by", above=0, below=1)
    restart_at_drops: bool = setting(
        False, "begin again from the kept weights with a fresh optimiser at each drop"
    )
    validation: float = setting(
        0.0, "fraction of each known class held out of training", at_least=0, below=1
    )
    keep: str = setting(
        "last", "weights kept: 'last', 'accuracy' (highest) or a loss term (lowest) on validation"
    )
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Backbone settings by name (see `osr_core.backbones`) and training of one method."""

    backbone: Mapping[str, Any]
    training: Training


def by_adam(training: Training, *, epochs: int, lr: float, beta1: float) -> Training:
    """A constant rate of Adam for what follows a trained classifier; the last weights are kept."""
    return replace(
        training,
        epochs=epochs,
        optimizer="adam",
        lr=lr,
        momentum=beta1,
        weight_decay=0.0,
        schedule="steps",
        drops=(),
        warmup_epochs=0,
        restart_at_drops=False,
        validation=0.0,
        keep="last",
    )


# Vaze et al.'s strength of RandAugment (M of 30) by dataset; N is 1.
MAGNITUDES = {
    "mnist": 8,
    "svhn": 18,
    "cifar10": 6,
    "cifar+10": 6,
    "cifar+50": 6,
    "tinyimagenet": 9,
}


def randaugmented(benchmark: Benchmark, *, flip: bool) -> Augmentation:
    """RandAugment, then crop and flip, as Vaze et al. train (ICLR 2022, and the authors' code).

    What they do not have is changed like CIFAR-10 where images may be mirrored, else like MNIST.
    Digits (MNIST, SVHN) are neither rotated nor translated by it.
    """
    mirrored = benchmark.known.mirrored
    return Augmentation(
        randaugment_ops=1,
        randaugment_magnitude=MAGNITUDES.get(
            benchmark.name, MAGNITUDES["cifar10" if mirrored else "mnist"]
        ),
        randaugment_moves=mirrored,
        crop_padding=4,
        flip=flip,
    )


def strongly_augmented(benchmark: Benchmark) -> Augmentation:
    """Flip, crop and two operations of RandAugment, after the code of CSSR and of MEDAF.

    Theirs draws a strength below 10 of 10 for each operation and leaves out half of them, where
    ours has 10 of 30; crops are padded by reflection, and each image's contrast is multiplied by a
    number between 0.1 and 2. Every dataset is mirrored, digits too.
    """
    return Augmentation(
        randaugment_ops=2,
        randaugment_magnitude=10,
        randaugment_moves=True,
        crop_padding=benchmark.known.image_size // 8,
        flip=True,
    )


def common(benchmark: Benchmark) -> Recipe:
    """One recipe for all methods: global average pooling, SGD, one cosine over 200 epochs.

    A shortened form of the "good closed-set classifier" schedule (Vaze et al., ICLR 2022), which
    runs three cosine cycles over 600 epochs, with its RandAugment for colour images of 32 pixels or
    more. Smaller or grey ones have crop and flip alone, so that results on them stay comparable
    with those from before RandAugment was here. Digits are not mirrored.
    """
    known = benchmark.known
    rich = known.channels == 3 and known.image_size >= 32
    plain = Augmentation(crop_padding=4, flip=known.mirrored)
    return Recipe(
        backbone={"name": "osrci", "head": "gap", "dropout_at": "before", "init": "normal"},
        training=Training(
            warmup_epochs=10,
            augmentation=randaugmented(benchmark, flip=known.mirrored) if rich else plain,
        ),
    )


def cac_published(benchmark: Benchmark, keep: str) -> Recipe:
    """CAC's training (Miller et al., arXiv 2020, Table 4; the rest from the authors' code).

    SGD at 0.01, then again at 0.001 from the kept weights with fresh momentum; 20 % of each known
    class (10 % of TinyImageNet's) held out to choose the epoch by `keep`. CIFAR-10 is rotated by up
    to 10 degrees and CIFAR+N is not, in every revision of the authors' configuration. A dataset
    that the paper does not have is trained like MNIST.
    """
    epochs, second, dropout, decay, scale, rotation = {
        "mnist": (35, 0, 0.2, 5e-6, 0.7, 0.0),
        "svhn": (50, 0, 0.2, 5e-6, 0.7, 0.0),
        "cifar10": (150, 50, 0.2, 5e-6, 0.8, 10.0),
        "cifar+10": (150, 50, 0.2, 5e-4, 0.8, 0.0),
        "cifar+50": (150, 50, 0.2, 5e-4, 0.8, 0.0),
        "tinyimagenet": (500, 300, 0.3, 1e-3, 0.7, 20.0),
    }.get(benchmark.name, (35, 0, 0.2, 5e-6, 0.7, 0.0))
    return Recipe(
        backbone={
            "name": "osrci",
            "head": "flatten",
            "dropout": dropout,
            "dropout_at": "after",
            "init": "kaiming",
        },
        training=Training(
            epochs=epochs + second,
            lr=0.01,
            weight_decay=decay,
            schedule="steps",
            drops=(epochs / (epochs + second),) if second else (),
            restart_at_drops=bool(second),
            validation=0.1 if benchmark.name == "tinyimagenet" else 0.2,
            keep=keep,
            augmentation=Augmentation(
                scale=scale, rotation=rotation, flip=benchmark.known.mirrored
            ),
        ),
    )


def vaze_published(benchmark: Benchmark) -> Recipe:
    """The "good closed-set classifier" schedule (Vaze et al., ICLR 2022, and the authors' code).

    600 epochs in three cosine cycles after ten epochs of warm-up; the last weights are kept.
    TinyImageNet has Adam without weight decay. Every dataset is mirrored, digits too. The label
    smoothing of 0.9 for TinyImageNet is a setting of the method, see mls.py.
    """
    tiny = benchmark.name == "tinyimagenet"
    return Recipe(
        backbone={"name": "osrci", "head": "gap", "dropout_at": "before", "init": "normal"},
        training=Training(
            epochs=600,
            optimizer="adam" if tiny else "sgd",
            lr=0.01 if tiny else 0.1,
            weight_decay=0.0 if tiny else 1e-4,
            cycles=3,
            warmup_epochs=10,
            augmentation=randaugmented(benchmark, flip=True),
        ),
    )


def pmal_published(benchmark: Benchmark) -> Recipe:
    """PMAL's training on small datasets (Lu et al., AAAI 2022), for the classifiers and the method.

    Adam at 0.01, a tenth of it after every 120 of 600 epochs. The paper leaves open where dropout
    stands, which is as in the common recipe, and how images are augmented: RandAugment and crop as
    in Vaze et al., with which its accuracies are known to be reached, and flips but for digits.
    """
    return Recipe(
        backbone=common(benchmark).backbone,
        training=Training(
            epochs=600,
            optimizer="adam",
            lr=0.01,
            weight_decay=5e-4,
            schedule="steps",
            drops=(0.2, 0.4, 0.6, 0.8),
            augmentation=randaugmented(benchmark, flip=benchmark.known.mirrored),
        ),
    )


def osrci_published() -> Recipe:
    """The classifier of the counterfactual-images paper (Neal et al., ECCV 2018, authors' code).

    Adam at 0.0001 for 30 epochs of plain images, which are of 32 pixels in colour whatever the
    dataset.
    """
    network = {"name": "osrci", "head": "flatten", "dropout_at": "before", "init": "normal"}
    training = Training(
        epochs=30,
        batch_size=64,
        optimizer="adam",
        lr=1e-4,
        momentum=0.5,
        weight_decay=0.0,
        schedule="steps",
    )
    return Recipe(backbone={**network, "image_size": 32, "channels": 3}, training=training)
