"""Batches of an image set that lies on the device: no DataLoader, no copies between devices.

A set too large for that (`imageset.pick`) stays in its file, and each batch is read from there. An
epoch then goes through blocks of neighbouring images, POOL of them at a time and shuffled together,
so that the disk reads in sequence and the system's cache holds what is read.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from osr_core.data.augment import augment, draw_changes
from osr_core.data.imageset import ImageSet, Picked
from osr_core.data.randaugment import randaugment
from osr_core.data.to_device import to_device
from osr_core.data_parallel import ALONE, DataParallel
from osr_core.recipes import Augmentation

BLOCK, POOL = 32, 128  # images that lie side by side; blocks that are shuffled together
NOTHING = Augmentation()


class Batch(NamedTuple):
    """B training images."""

    images: Tensor  # (B, C, H, W) float32 in [0, 1], channels_last
    label: Tensor  # (B,) int64 in [0, K)
    index: Tensor  # type: ignore[assignment]  # (B,) int64, positions in the training set


class Drawn(NamedTuple):
    """B training images as they were picked, and what is to change each of them."""

    images: Tensor  # (B, C, H, W) uint8, or what RandAugment made of them: floats in [0, 1]
    draw: Tensor  # (8, B), an `augment.Draw`
    label: Tensor  # as of a `Batch`
    index: Tensor  # type: ignore[assignment]


class Batches:
    """An image set, cut into batches of `batch_size` on a device."""

    def __init__(
        self,
        images: ImageSet,
        *,
        batch_size: int,
        device: torch.device | str = "cpu",
        augmentation: Augmentation = NOTHING,
        before_each: Callable[[], None] | None = None,
        processes: DataParallel = ALONE,
    ) -> None:
        """`before_each` is called before each batch in order. Of shuffled batches, each of several
        `processes` gets its part.
        """
        self.images = (
            images.images
            if isinstance(images.images, Picked)
            else images.images.to(device).contiguous(memory_format=torch.channels_last)
        )
        self.labels = images.labels.to(device)
        self.mirrored = images.mirrored
        self.batch_size = batch_size
        self.augmentation = augmentation
        self.before_each = before_each
        self.processes = processes

    def __len__(self) -> int:
        """Number of images, not of batches."""
        return len(self.labels)

    def shuffled(self, generator: torch.Generator) -> Iterator[Drawn]:
        """One epoch in random order; order and changes come from `generator` (CPU).

        A last batch of a single image is left out: batch norm has nothing to compare it with. So is
        one that has less than an image for each process.
        """
        shuffle = block_order if isinstance(self.images, Picked) else torch.randperm
        order = shuffle(len(self), generator=generator)
        for place, index in self._cut(order, self.batch_size):
            if len(index) < max(2, self.processes.world_size):
                continue
            part = self.processes.part(len(index))
            images = self._pick(place[part])
            if self.augmentation.randaugment_ops > 0:
                images = self._randaugmented(images, generator, (len(index), part))
            height, width = images.shape[2:]
            each = draw_changes(len(index), height, width, self.augmentation, generator)
            draw = to_device(torch.stack(each)[:, part], self.labels.device)
            yield Drawn(images, draw, self.labels[index[part]], index[part])

    def augmented(self, batch: Drawn) -> Batch:
        """What `shuffled` gave, as it is trained on; all of it on the device."""
        images = batch.images if batch.images.is_floating_point() else to_float(batch.images)
        images = augment(images, batch.draw, self.augmentation)
        return Batch(images, batch.label, batch.index)

    def ordered(self, batch_size: int = 512) -> Iterator[Batch]:
        """Every image once, in order, as it is."""
        for place, index in self._cut(torch.arange(len(self)), batch_size):
            if self.before_each is not None:
                self.before_each()
            yield Batch(self.take(place), self.labels[index], index)

    def take(self, index: Tensor) -> Tensor:
        """(len(index), C, H, W) float images at `index`, as they are."""
        return to_float(self._pick(index))

    def _pick(self, index: Tensor) -> Tensor:
        """(len(index), C, H, W) the images at `index` on the device, uint8."""
        if isinstance(self.images, Picked):
            return to_device(self.images[index], self.labels.device)
        return self.images[index]

    def _randaugmented(
        self, images: Tensor, generator: torch.Generator, part: tuple[int, slice]
    ) -> Tensor:
        return randaugment(
            to_float(images),
            num_ops=self.augmentation.randaugment_ops,
            magnitude=self.augmentation.randaugment_magnitude,
            moves=self.augmentation.randaugment_moves,
            generator=generator,
            part=part,
        )

    def _cut(self, order: Tensor, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Positions of each batch, to look images up by and on the device.

        Images in a file are indexed on the CPU: reading positions back from a GPU waits for it.
        """
        index = to_device(order, self.labels.device)
        place = order if isinstance(self.images, Picked) else index
        yield from zip(torch.split(place, batch_size), torch.split(index, batch_size), strict=True)


def block_order(num: int, *, generator: torch.Generator) -> Tensor:
    """(num,) the positions 0 to num - 1: blocks in random order, each POOL of them shuffled."""
    blocks = torch.split(torch.arange(num), BLOCK)
    order = [blocks[number] for number in torch.randperm(len(blocks), generator=generator)]
    pools = [torch.cat(order[start : start + POOL]) for start in range(0, len(order), POOL)]
    return torch.cat([pool[torch.randperm(len(pool), generator=generator)] for pool in pools])


def to_float(images: Tensor) -> Tensor:
    """uint8 in [0, 255] to float32 in [0, 1], channels_last."""
    return images.to(torch.float32).div_(255).contiguous(memory_format=torch.channels_last)
