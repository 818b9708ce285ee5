"""What a plan's fits cost, by arithmetic: image passes and floating point operations.

    image passes   epochs x training images x how often the method sends them through the network;
                   training images are those of the files at hand, and without files those of the
                   published data set, less what is held out
    FLOPs          image passes x 3 x those of the network's forward pass, since going back costs
                   twice as much, and what a method says that its fits do besides
                   (`Learner.further_flops`); a multiplication with its addition is two

Of the rest nothing is counted: held-out and test images, the heads, augmentation, mining, making
images (`gan.generate`) and scoring.
"""

from collections.abc import Callable, Iterable, Sequence

from osr_core.backbones.flops import forward_flops
from osr_core.data.sizes import num_train_images
from osr_core.methods import learner_named
from osr_core.stage import Stage

FORWARD_AND_BACK = 3  # in forward passes
MEANINGS = {
    "image_passes": "of all fits together, through the network and back",
    "flops": "of all image passes, and of what methods do besides",
}

CountImages = Callable[[str, Sequence[int]], int | None]
"""How many training images a data set has of known classes; None where nobody knows."""


def cost(
    stages: Iterable[Stage], count_images: CountImages = num_train_images
) -> dict[str, float | None]:
    """A number for each of MEANINGS; None where a data set's size is not known beforehand."""
    total = {"image_passes": 0.0, "flops": 0.0}
    for stage in stages:
        if not stage.kind.trains:
            continue
        images = images_trained_on(stage, count_images)
        if images is None:
            return dict.fromkeys(total)
        method = learner_named(stage.config["method"]["name"])
        passes = images * stage.effort * method.passes
        total["image_passes"] += passes
        total["flops"] += passes * FORWARD_AND_BACK * forward_flops(stage.config["backbone"])
        total["flops"] += method.further_flops(stage, images)
    return {**total}


def images_trained_on(fit: Stage, count_images: CountImages = num_train_images) -> float | None:
    """How many images a fit learns from in each epoch."""
    task = fit.config["task"]
    images = count_images(task["dataset"], task["known"])
    if images is None:
        return None
    trained_on: float = images * (1 - fit.config["training"]["validation"])
    return trained_on
