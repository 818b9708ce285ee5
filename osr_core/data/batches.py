"""Batches of an image set that lies on the device: no DataLoader, no copies between devices."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from osr_core.data.augment import augment
from osr_core.data.base import ImageSet
from osr_core.recipes import Augmentation


class Batch(NamedTuple):
    """B training images."""

    images: Tensor  # (B, C, H, W) float32 in [0, 1], channels_last
    label: Tensor  # (B,) int64 in [0, K)
    index: Tensor  # type: ignore[assignment]  # (B,) int64, positions in the training set


class Batches:
    """An image set on a device, cut into batches of `batch_size`."""

    def __init__(
        self,
        images: ImageSet,
        *,
        batch_size: int,
        device: torch.device | str = "cpu",
        augmentation: Augmentation | None = None,
    ) -> None:
        self.images = images.images.to(device).contiguous(memory_format=torch.channels_last)
        self.labels = images.labels.to(device)
        self.batch_size = batch_size
        self.augmentation = augmentation

    def __len__(self) -> int:
        """Number of images, not of batches."""
        return len(self.labels)

    def shuffled(self, generator: torch.Generator) -> Iterator[Batch]:
        """One epoch in random order, augmented; order and changes come from `generator` (CPU)."""
        order = torch.randperm(len(self), generator=generator).to(self.labels.device)
        for index in torch.split(order, self.batch_size):
            images = to_float(self.images[index])
            if self.augmentation is not None:
                images = augment(images, self.augmentation, generator)
            yield Batch(images, self.labels[index], index)

    def ordered(self, batch_size: int = 512) -> Iterator[Batch]:
        """Every image once, in order, as it is."""
        positions = torch.arange(len(self), device=self.labels.device)
        for index in torch.split(positions, batch_size):
            yield Batch(to_float(self.images[index]), self.labels[index], index)

    def take(self, index: Tensor) -> Tensor:
        """(len(index), C, H, W) float images at `index`, as they are."""
        return to_float(self.images[index.to(self.labels.device)])


def to_float(images: Tensor) -> Tensor:
    """uint8 in [0, 255] to float32 in [0, 1], channels_last."""
    return images.to(torch.float32).div_(255).contiguous(memory_format=torch.channels_last)
