"""A detector: its threshold as a loop over thresholds, and what it takes for an image."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from osr_core.backbones import resolve_backbone
from osr_core.data import reader
from osr_core.detector import Detector
from osr_core.errors import ConfigError, DataError
from osr_core.methods import Softmax


@pytest.fixture(scope="module")
def detector() -> Detector:
    """Untrained, of grey images of 16 pixels, and sure enough to give no score twice."""
    backbone = resolve_backbone({"width": 0.1}, image_size=16, channels=1)
    config = {"method": {"name": "softmax"}, "backbone": backbone}
    method = Softmax.fresh(config, 6, torch.device("cpu"))
    for weights in method.parameters():
        weights.data *= 3  # fresh ones score all images alike, to the last digits
    return Detector(method, tuple("012459"), 16, 1, torch.device("cpu"))


@pytest.mark.parametrize("share", [0.01, 0.5, 0.95, 1.0])
def test_the_threshold_is_the_smallest_that_accepts_the_share(detector: Detector, share: float):
    """Every score is tried as a threshold, the smallest first."""
    images = reader("digits").load(None, "test").images[:97]
    scores = detector.score(images).unknown_score.tolist()
    for threshold in sorted(scores):
        if sum(score <= threshold for score in scores) / len(scores) >= share:
            break
    chosen = detector.accepting(share, images)
    assert chosen.threshold == threshold
    assert chosen.predict(images).rejected.tolist() == [score > threshold for score in scores]


def test_a_share_is_counted_exactly(detector: Detector):
    """In floating point 0.07 of 100 images are more than seven."""
    images = reader("digits").load(None, "test").images[:100]
    assert len(detector.score(images).unknown_score.unique()) == 100
    chosen = detector.accepting(0.07, images)
    assert (~chosen.predict(images).rejected).sum() == 7


def test_without_a_threshold_nothing_is_rejected(detector: Detector):
    """As classifiers do."""
    images = reader("digits").load(None, "test").images[:5]
    assert not detector.predict(images).rejected.any()


def test_a_file_is_seen_as_its_pixels_are(detector: Detector, tmp_path: Path):
    """A square of the network's size after the cut of the middle: the same score."""
    pixels = torch.randint(0, 256, (1, 1, 18, 18), generator=torch.Generator().manual_seed(0))
    Image.fromarray(pixels[0, 0].to(torch.uint8).numpy()).save(tmp_path / "a.png")
    cut = pixels[:, :, 1:-1, 1:-1].to(torch.uint8)
    from_file = detector.predict([tmp_path / "a.png"]).unknown_score
    assert torch.equal(from_file, detector.predict(cut).unknown_score)


def test_colours_are_not_turned_into_grey_in_silence(detector: Detector, tmp_path: Path):
    """The network has never seen them."""
    Image.fromarray(np.arange(27 * 12, dtype=np.uint8).reshape(18, 6, 3)).save(tmp_path / "c.png")
    with pytest.raises(DataError, match=r"c\.png' has colours"):
        detector.predict([tmp_path / "c.png"])
    with pytest.raises(ConfigError, match="channels must be 3"):
        detector.predict(torch.zeros((1, 3, 16, 16), dtype=torch.uint8))


@pytest.mark.parametrize(
    "images", [torch.zeros(1, 1, 16, 16), torch.zeros((16, 16), dtype=torch.uint8)]
)
def test_another_type_or_shape_is_refused(detector: Detector, images: torch.Tensor):
    """Floats in [0, 1] and in [0, 255] look alike."""
    with pytest.raises(DataError, match="images must be"):
        detector.predict(images)


@pytest.mark.parametrize("share", [0.0, 1.5])
def test_a_share_is_above_nothing_and_at_most_all(detector: Detector, share: float):
    """No threshold accepts 150 %."""
    with pytest.raises(ConfigError, match="above 0 and at most 1"):
        detector.accepting(share, torch.zeros((2, 1, 16, 16), dtype=torch.uint8))
    with pytest.raises(ConfigError, match="there are none"):
        detector.accepting(0.9, torch.zeros((0, 1, 16, 16), dtype=torch.uint8))
    with pytest.raises(DataError, match="no image"):
        detector.predict([])
