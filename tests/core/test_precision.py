"""Which numbers a stage computes with; the CPU is made to train in bfloat16, as a GPU does."""

import pytest
import torch

from osr_core.backbones import build_backbone, resolve_backbone
from osr_core.data.base import ImageSet
from osr_core.data.batches import Batch, Batches
from osr_core.execution import calibrate_method
from osr_core.methods import Method
from osr_core.methods.cac import CAC
from osr_core.methods.proser import PROSER
from osr_core.precision import TRAINED_IN, whole_float32
from osr_core.scoring import score_images


@pytest.fixture
def short_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training in bfloat16 on the CPU."""
    monkeypatch.setitem(TRAINED_IN, "cpu", torch.bfloat16)


def small(cls: type[Method]) -> tuple[Method, Batch]:
    """A method of a few thousand weights, and eight grey images."""
    torch.manual_seed(0)
    network = resolve_backbone({"width": 0.05, "init": "kaiming"}, image_size=16, channels=1)
    images = torch.rand(8, 1, 16, 16)
    method = cls(build_backbone(network), 2, cls.Config())
    return method, Batch(images, torch.arange(8) % 2, torch.arange(8))


def used(method: Method, batch: Batch) -> dict[str, torch.Tensor]:
    """What is measured and scored in eval mode; PROSER's draws are always the same."""
    torch.manual_seed(1)
    with torch.no_grad():
        scored = method.eval()(batch.images)
        return {**method.validation(batch), "score": scored.unknown_score}


@pytest.mark.usefixtures("short_training")
@pytest.mark.parametrize("cls", [CAC, PROSER])
def test_a_network_in_use_computes_in_float32(
    cls: type[Method], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In bfloat16 CAC's scores moved by up to 0.26, and 11 classes of 10,000 images."""
    method, batch = small(cls)
    first = used(method, batch)
    monkeypatch.delitem(TRAINED_IN, "cpu")
    second = used(method, batch)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.usefixtures("short_training")
def test_a_network_that_learns_computes_in_bfloat16() -> None:
    """The embedding comes back as float32, but with bfloat16's seven bits."""
    method, batch = small(CAC)
    embedding = method.train().embed(batch.images)
    assert embedding.dtype == torch.float32
    assert torch.equal(embedding, embedding.bfloat16().float())


def test_calibration_and_scores_are_not_rounded_to_tf32() -> None:
    """PyTorch's default for convolutions on CUDA keeps ten of float32's 23 bits."""
    method, batch = small(CAC)
    images = (batch.images * 255).to(torch.uint8)
    batches = Batches(ImageSet(images, batch.label), batch_size=4)
    seen: list[bool] = []
    allowed = lambda *_: seen.append(torch.backends.cudnn.allow_tf32)  # noqa: E731
    method.backbone.register_forward_hook(allowed)
    calibrate_method(method, batches)
    score_images(method, batches, torch.tensor([0]))
    assert seen
    assert not any(seen)
    seen.clear()
    method.embed(batch.images)
    assert seen == [True]


def test_tf32_is_put_back_after_a_failure() -> None:
    """A worker runs many stages."""
    with pytest.raises(ValueError, match="lost"), whole_float32():
        raise ValueError("lost")
    assert torch.backends.cudnn.allow_tf32
