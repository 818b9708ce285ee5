"""How many training images the published data sets have, to say beforehand what a fit costs."""

from collections.abc import Iterable, Mapping

# By class in label order, or the mean over classes where they are alike or too many to list.
TRAIN_IMAGES: Mapping[str, tuple[int, ...] | float] = {
    "digits": (134, 137, 133, 138, 136, 137, 136, 135, 131, 135),
    "mnist": (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
    "svhn": (4948, 13861, 10585, 8497, 7458, 6882, 5727, 5595, 5045, 4659),
    "cifar10": 5000,
    "cifar100": 500,
    "tinyimagenet": 500,
    "imagenet100": 1281.167,  # of ILSVRC 2012's 1,281,167; no class has more than 1,300
    "imagenet200": 1281.167,
    "imagenet_lt": 115.846,
}


def num_train_images(dataset: str, known: Iterable[int]) -> int | None:
    """Training images of the known classes; None for images of one's own, which nobody published.

    Files that hold a part of a data set have fewer.
    """
    if dataset not in TRAIN_IMAGES:
        return None
    sizes = TRAIN_IMAGES[dataset]
    return round(sum(sizes[k] if isinstance(sizes, tuple) else sizes for k in known))
