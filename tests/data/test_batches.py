"""Batches of an image set."""

import torch

from osr_core.data.base import ImageSet
from osr_core.data.batches import Batches, to_float
from osr_core.recipes import Augmentation


def some(num=10, **options):
    """Image i is i everywhere, its label i % 3."""
    images = torch.arange(num, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 4, 4)
    labels = torch.arange(num) % 3
    return Batches(ImageSet(images.contiguous(), labels), **{"batch_size": 4, **options})


def seeded(seed=0):
    """A CPU generator."""
    return torch.Generator().manual_seed(seed)


def test_an_epoch_has_every_image_once():
    """The last batch is smaller; images, labels and positions belong together."""
    batches = list(some().shuffled(seeded()))
    assert [len(batch.label) for batch in batches] == [4, 4, 2]
    index = torch.cat([batch.index for batch in batches])
    assert sorted(index.tolist()) == list(range(10))
    for batch in batches:
        assert torch.equal(batch.label, batch.index % 3)
        assert torch.allclose(batch.images[:, 0, 0, 0], batch.index / 255)


def test_the_generator_decides_the_order():
    """And goes on, so that the next epoch has another one."""
    generator = seeded()
    first, second = ([b.index for b in some().shuffled(generator)] for _ in range(2))
    again = [b.index for b in some().shuffled(seeded())]
    assert torch.equal(torch.cat(first), torch.cat(again))
    assert not torch.equal(torch.cat(first), torch.cat(second))


def test_only_shuffled_batches_are_augmented():
    """Calibration and scoring see the images as they are."""
    white = ImageSet(torch.full((6, 3, 8, 8), 255, dtype=torch.uint8), torch.zeros(6).long())
    batches = Batches(white, batch_size=6, augmentation=Augmentation(crop_padding=4))
    assert next(batches.shuffled(seeded())).images.min() == 0
    assert next(batches.ordered()).images.min() == 1
    assert batches.take(torch.tensor([1, 2])).min() == 1


def test_ordered_batches_are_in_order():
    """Row i of the scores is image i."""
    index = torch.cat([batch.index for batch in some().ordered(3)])
    assert index.tolist() == list(range(10))


def test_images_are_channels_last_floats_between_zero_and_one():
    """What every network here expects."""
    images = to_float(torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 3, 1, 1))
    assert images.flatten().tolist() == [0, torch.tensor(0.2).item(), 1]
    for batch in (next(some().shuffled(seeded())), next(some().ordered())):
        assert batch.images.dtype == torch.float32
        assert batch.images.is_contiguous(memory_format=torch.channels_last)


def test_length_counts_images():
    """Not batches."""
    assert len(some(7)) == 7
