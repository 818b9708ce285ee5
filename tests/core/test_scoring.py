"""What is kept of a pass over the test images."""

import pytest
import torch

from osr_core.backbones import build_backbone, resolve_backbone
from osr_core.data import UNKNOWN, ImageSet
from osr_core.data.batches import Batches
from osr_core.data.tasks import TestSet
from osr_core.generators import generator_for
from osr_core.methods.softmax import Softmax
from osr_core.scoring import balanced_sample, images_per_class, score_images
from osr_core.tables import lists

LABELS = torch.tensor([0, UNKNOWN, 1, 1, UNKNOWN, 0, 2, UNKNOWN, 0, 2])


@pytest.mark.parametrize(
    ("num", "known", "unknown"), [(4, 2, 2), (8, 4, 3), (100, 7, 3), (0, 0, 0)]
)
def test_a_sample_has_as_many_known_as_unknown_images(num: int, known: int, unknown: int) -> None:
    """Or all that there are; each once, in order."""
    sample = balanced_sample(LABELS, num, generator_for("a"))
    assert sample.tolist() == sorted(set(sample.tolist()))
    assert int((LABELS[sample] != UNKNOWN).sum()) == known
    assert int((LABELS[sample] == UNKNOWN).sum()) == unknown


def test_a_sample_follows_from_its_generator_alone() -> None:
    """Equal identities draw the same images; torch's global generator stays as it was."""
    labels = LABELS.repeat(50)
    before = torch.get_rng_state()
    first, again = (balanced_sample(labels, 40, generator_for("a")) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, balanced_sample(labels, 40, generator_for("b")))
    assert torch.equal(torch.get_rng_state(), before)


def test_embeddings_are_those_of_the_sampled_images() -> None:
    """Across batches (512 images each), against embedding them alone."""
    torch.manual_seed(0)
    network = resolve_backbone({"width": 0.05}, image_size=16, channels=1)
    method = Softmax(build_backbone(network), 3, Softmax.Config())
    images = torch.randint(256, (1030, 1, 16, 16)).to(torch.uint8)
    sample = torch.tensor([0, 511, 512, 700, 1029])
    batches = Batches(ImageSet(images, torch.zeros(1030, dtype=torch.int64)), batch_size=512)
    scored = score_images(method, batches, sample)
    assert len(scored.logits) == 1030
    with torch.no_grad():
        alone = method.embed(images[sample].float() / 255)
    torch.testing.assert_close(scored.embedding, alone)


def test_rows_become_lists() -> None:
    """As a slow loop makes them, also of a slice that is not contiguous and of no rows."""
    rows = torch.arange(24, dtype=torch.float32).view(4, 6)[:, 1:4]
    assert lists(rows).to_pylist() == [[float(value) for value in row] for row in rows]
    assert lists(rows[:0]).to_pylist() == []


def test_scored_images_are_counted_over_the_classes_that_the_split_names() -> None:
    """By hand: a class without an image counts as 0, one number of two datasets as two classes."""
    labels = torch.tensor([0, 0, 1, UNKNOWN, UNKNOWN, UNKNOWN])
    classes = torch.tensor([4, 4, 2**40, 2**40, 2**40, 2**40])  # the last are another dataset's
    test = TestSet(torch.zeros(6, 1, 2, 2), labels, [""] * 6, classes, [""] * 6)
    assert images_per_class(test, known=[4, 2**40], unknown=[2**40, 9]) == {
        "known_images_min": 1,
        "known_images_max": 2,
        "unknown_images_min": 0,
        "unknown_images_max": 3,
    }
