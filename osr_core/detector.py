"""A trained method as a detector: which known class an image shows, or that it shows none of them.

The threshold is the smallest score that accepts a given share of images whose class is known.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from osr_core.data.base import UNKNOWN
from osr_core.data.batches import Batches
from osr_core.data.encoded import Pixels, decode_square
from osr_core.data.files import reading
from osr_core.data.imageset import ImageSet, resized
from osr_core.data.tasks import in_channels
from osr_core.errors import ConfigError, DataError
from osr_core.methods import ImageMethod
from osr_core.scoring import Scored, score_images

Pictures = Tensor | npt.NDArray[np.uint8] | Sequence[str | Path]
"""(N, C, H, W) uint8 in [0, 255], or N files of images of any size."""


class Decisions(NamedTuple):
    """What a detector says of N images."""

    label: Tensor  # (N,) int64, position of the best known class
    class_name: list[str]  # its name
    unknown_score: Tensor  # (N,) float32, larger = more unknown
    rejected: Tensor  # (N,) bool, whether the score is above the threshold

    @property
    def answer(self) -> Tensor:
        """(N,) int64: the position of the class, or -1 for a rejected image."""
        return torch.where(self.rejected, UNKNOWN, self.label)


@dataclass(frozen=True)
class Detector:
    """A method with its weights, and the score above which it rejects an image."""

    method: ImageMethod
    class_names: tuple[str, ...]  # of the K known classes, by position
    image_size: int  # side in pixels of what the network sees
    channels: int
    device: torch.device
    threshold: float = math.inf  # nothing is rejected
    chosen_on: str = ""  # the images that the threshold was chosen on

    def predict(self, images: Pictures) -> Decisions:
        """Decide about images, each by itself.

        Args:
            images: (N, C, H, W) uint8 in [0, 255], as a tensor or an array, or N paths of image
                files. Other sizes than the network's are scaled as the readers scale.

        Raises:
            DataError: a file that cannot be read as an image; images of another type or shape, or
                none.
        """
        scored = self.score(images)
        names = [self.class_names[position] for position in scored.predicted.tolist()]
        rejected = scored.unknown_score > self.threshold
        return Decisions(scored.predicted, names, scored.unknown_score, rejected)

    def score(self, images: Pictures) -> Scored:
        """Logits, class and unknown score of images, as `predict` takes them."""
        if len(images) == 0:
            raise DataError("there is no image to decide about.")
        pixels = self._pixels(images)
        labels = torch.full((len(pixels),), UNKNOWN)
        batches = Batches(ImageSet(pixels, labels), batch_size=512, device=self.device)
        return score_images(self.method, batches, torch.empty(0, dtype=torch.int64))

    def accepting(self, share: float, images: Pictures, what: str = "images given") -> "Detector":
        """This detector with the smallest threshold that accepts `share` of `images`.

        Args:
            share: in (0, 1].
            images: of known classes, none of which it was trained on: it is surer of those.
            what: what these images are, for `chosen_on`.

        Raises:
            ConfigError: another share, or no image.
        """
        if not 0 < share <= 1:
            raise ConfigError(f"the share to accept must be above 0 and at most 1, not {share}.")
        if len(images) == 0:
            raise ConfigError("a threshold is chosen on images of known classes; there are none.")
        scores = self.score(images).unknown_score.sort().values
        accepted = math.ceil(Fraction(str(share)) * len(scores))  # 0.07 * 100 is above 7
        threshold = float(scores[accepted - 1])
        return replace(self, threshold=threshold, chosen_on=f"{len(scores)} {what}")

    def _pixels(self, images: Pictures) -> Tensor:
        """(N, channels, side, side) uint8."""
        if isinstance(images, Tensor | np.ndarray):
            given = torch.as_tensor(images)
            if given.ndim != 4 or given.dtype != torch.uint8:
                raise DataError(
                    "images must be (N, channels, height, width) of uint8 in 0 to 255, not of "
                    f"shape {tuple(given.shape)} and type {given.dtype}."
                )
            return self._seen(resized(given, self.image_size))
        squares = []
        for path in map(Path, images):
            with reading(path) as file:
                squares.append(decode_square(file.read(), self.image_size, f"'{path}'", own=True))
        if self.channels == 1:
            squares = [only_grey(each, path) for each, path in zip(squares, images, strict=True)]
        return torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2)

    def _seen(self, pixels: Tensor) -> Tensor:
        found = in_channels(pixels, self.channels)
        assert isinstance(found, Tensor)
        return found


def only_grey(pixels: Pixels, path: str | Path) -> Pixels:
    """(H, W, 1) of the pixels (H, W, 3) of a grey image.

    Raises:
        DataError: the image has colours.
    """
    if (pixels != pixels[:, :, :1]).any():
        raise DataError(
            f"'{path}' has colours, and this network has learnt grey images. Convert it."
        )
    return pixels[:, :, :1]
