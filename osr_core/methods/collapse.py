"""A generator that has collapsed: its images are all alike, and nobody can learn from them."""

import warnings

from torch import Tensor

COLLAPSED = 0.1  # of the training images' deviation


def deviation(images: Tensor) -> Tensor:
    """() mean over pixels of the standard deviation over images (N, C, S, S), in their unit."""
    return images.float().std(0, correction=0).mean()


def warn_if_collapsed(variety: float, remedy: str) -> None:
    """Warn of a `variety`, made images' deviation over that of training images, that is too low."""
    if variety < COLLAPSED:
        warnings.warn(
            f"generated images differ by {variety:.3f} of what training images do: the generator "
            f"has collapsed. {remedy}",
            stacklevel=2,
        )
