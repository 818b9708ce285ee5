"""Batches of an image set."""

from unittest.mock import Mock

import torch

from osr_core.data.batches import BLOCK, POOL, Batches, block_order, to_float
from osr_core.data.imageset import ImageSet, Picked
from osr_core.data.to_device import to_device
from osr_core.recipes import Augmentation


def some(num=10, **options):
    """Image i is i everywhere, its label i % 3."""
    images = torch.arange(num, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 4, 4)
    labels = torch.arange(num) % 3
    return Batches(ImageSet(images.contiguous(), labels), **{"batch_size": 4, **options})


def seeded(seed=0):
    """A CPU generator."""
    return torch.Generator().manual_seed(seed)


def epoch(batches, generator):
    """As it is trained on."""
    return [batches.augmented(batch) for batch in batches.shuffled(generator)]


def test_an_epoch_has_every_image_once():
    """The last batch is smaller; images, labels and positions belong together."""
    batches = epoch(some(), seeded())
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
    assert epoch(batches, seeded())[0].images.min() == 0
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
    for batch in (*epoch(some(), seeded()), *some().ordered()):
        assert batch.images.dtype == torch.float32
        assert batch.images.is_contiguous(memory_format=torch.channels_last)


def test_length_counts_images():
    """Not batches."""
    assert len(some(7)) == 7


# -- sets that stay in their file ------------------------------------------------------------------


def left(images, rows):
    """The rows of an image set as a selection that is not copied."""
    return ImageSet(Picked(images.images, rows), images.labels[rows])


def test_a_set_left_in_its_file_gives_the_same_images():
    """In order, by position, and in an epoch."""
    whole = some(200)
    rows = torch.arange(199, -1, -2)
    batches = Batches(left(ImageSet(whole.images, whole.labels), rows), batch_size=7)
    expected = rows / 255
    ordered = torch.cat([batch.images[:, 0, 0, 0] for batch in batches.ordered(16)])
    assert torch.allclose(ordered, expected)
    assert torch.allclose(batches.take(torch.tensor([5, 0]))[:, 0, 0, 0], expected[[5, 0]])
    seen = epoch(batches, seeded())
    assert sorted(torch.cat([batch.index for batch in seen]).tolist()) == list(range(100))
    for batch in seen:
        assert torch.allclose(batch.images[:, 0, 0, 0], expected[batch.index])
        assert torch.equal(batch.label, rows[batch.index] % 3)


def test_an_epoch_from_a_file_goes_through_shuffled_blocks():
    """Every position once; POOL whole blocks together, neither in order nor the same next time."""
    num = 2 * BLOCK * POOL + BLOCK
    generator = seeded()
    order, again = (block_order(num, generator=generator) for _ in range(2))
    assert not torch.equal(order, again)
    assert torch.equal(order, block_order(num, generator=seeded()))
    pool = order[: BLOCK * POOL]
    _, counts = torch.unique(pool // BLOCK, return_counts=True)
    assert counts.tolist() == [BLOCK] * POOL
    assert (pool[1:] - pool[:-1] == 1).float().mean() < 0.01
    for short in (num, num + 5, 3):
        everything = block_order(short, generator=generator).sort().values
        assert torch.equal(everything, torch.arange(short))


def test_a_gpu_gets_its_copies_from_pinned_memory():
    """From pageable memory the copy would wait until all that the GPU has to do is done."""
    tensor, gpu = Mock(), torch.device("cuda")
    pinned = tensor.contiguous().pin_memory()
    assert to_device(tensor, gpu) is pinned.to.return_value
    pinned.to.assert_called_once_with(gpu, non_blocking=True)
    here = torch.arange(3)
    assert to_device(here, torch.device("cpu")) is here
