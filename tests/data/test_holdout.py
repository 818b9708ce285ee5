"""Known images held out of training."""

import pytest
import torch

from osr_core.data import ImageSet
from osr_core.data.tasks import holdout
from osr_core.errors import ConfigError


def labelled(*counts):
    """An image set with `counts[k]` images of class k, each image its own number."""
    labels = torch.cat([torch.full((count,), label) for label, count in enumerate(counts)])
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))]
    return ImageSet(torch.arange(len(labels))[:, None, None, None], labels)


def test_holdout_divides_each_class_in_proportion():
    """round(fraction * n) of each, every image on one side, both sides in order."""
    images = labelled(10, 25, 4)
    train, validation = holdout(images, 0.2, seed=1)
    assert validation.labels.bincount().tolist() == [2, 5, 1]
    positions = torch.cat((train.images, validation.images)).flatten()
    assert sorted(positions.tolist()) == list(range(39))
    for part in (train, validation):
        assert torch.equal(part.images.flatten(), part.images.flatten().sort().values)
        assert torch.equal(part.labels, images.labels[part.images.flatten()])


def test_holdout_depends_on_its_seed_and_on_nothing_else():
    """Repeated it is the same, whatever the global generator does."""
    images = labelled(50, 50)
    first, again = (holdout(images, 0.2, seed=1)[1].images for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, holdout(images, 0.2, seed=2)[1].images)


def test_holding_out_nothing_keeps_everything():
    """Most recipes have no validation part."""
    train, validation = holdout(labelled(3, 3), 0.0, seed=1)
    assert (len(train), len(validation)) == (6, 0)


def test_a_class_must_keep_a_training_image():
    """Else its row of the classifier would never be trained."""
    with pytest.raises(ConfigError, match=r"holding out 0.9 of class 1 leaves none of its 2"):
        holdout(labelled(100, 2), 0.9, seed=1)
