"""The published network: its size to the parameter, its variants, its normalisation."""

from typing import Any

import pytest
import torch
from torch import nn

from osr_core.backbones import BACKBONES, build_backbone, resolve_backbone
from osr_core.backbones.base import Normalize
from osr_core.errors import ConfigError
from osr_core.methods import Method
from osr_core.methods.cac import CAC
from osr_core.methods.center import Center
from osr_core.methods.softmax import Softmax


def count(module: nn.Module) -> int:
    """Trainable parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def network(*, image_size: int = 32, channels: int = 3, **settings: object) -> nn.Module:
    """OSRCI's network."""
    return build_backbone(resolve_backbone(settings, image_size=image_size, channels=channels))


def test_trunk_has_the_published_number_of_parameters() -> None:
    """997,056 in convolutions and 2,048 in batch norms; a grey image saves two of three planes."""
    assert count(network()) == 999_104
    assert count(network(channels=1)) == 997_952
    convolutions = [m for m in network().modules() if isinstance(m, nn.Conv2d)]
    assert sum(m.weight.numel() for m in convolutions) == 997_056


@pytest.mark.parametrize(("num_known", "total"), [(4, 999_616), (6, 999_872), (20, 1_001_664)])
def test_pooled_classifier_has_the_published_number_of_parameters(
    num_known: int, total: int
) -> None:
    """ARPL's and Vaze's, without a bias."""
    assert count(Softmax(network(), num_known, Softmax.Config())) == total


def test_flat_classifiers_have_the_published_numbers_of_parameters() -> None:
    """OSRCI's with six classes, CAC's for TinyImageNet with 64 pixels and 20 classes."""
    assert count(Softmax(network(head="flatten"), 6, Softmax.Config())) == 1_011_398
    tiny = network(head="flatten", image_size=64, dropout_at="after")
    assert count(CAC(tiny, 20, CAC.Config())) == 1_162_964


@pytest.mark.parametrize("head", ["gap", "flatten"])
@pytest.mark.parametrize("image_size", [16, 20, 32])
def test_embedding_has_the_declared_width(head: str, image_size: int) -> None:
    """Also for sides that are not a multiple of eight."""
    backbone = network(head=head, image_size=image_size, channels=1, width=0.1)
    images = torch.rand(2, 1, image_size, image_size)
    assert backbone(images).shape == (2, backbone.dim)


@pytest.mark.parametrize(("place", "before"), [("before", "Conv2d"), ("after", "LeakyReLU")])
def test_dropout_stands_where_the_papers_have_it(place: str, before: str) -> None:
    """Three layers: before convolutions 1, 4 and 7 (OSRCI), or after the activations of 3, 6, 9."""
    layers = [type(layer).__name__ for layer in network(dropout_at=place).trunk]
    places = [number for number, layer in enumerate(layers) if layer == "Dropout2d"]
    assert len(places) == 3
    beside = [layers[n + 1] if place == "before" else layers[n - 1] for n in places]
    assert beside == [before] * 3
    assert (places[0] == 0) == (place == "before")


def test_a_grey_image_is_never_dropped() -> None:
    """Its only channel: a fifth of all images would be blank, with labels to be guessed."""
    layers = [type(layer).__name__ for layer in network(channels=1).trunk]
    assert layers[0] == "Conv2d"
    assert layers.count("Dropout2d") == 2


def test_initialisation_is_the_papers() -> None:
    """N(0, 0.05) and N(1, 0.02) in OSRCI; Kaiming fan-out, sqrt(2 / (9 C)), and ones in CAC."""
    torch.manual_seed(0)
    normal, kaiming = (network(init=init).requires_grad_(False) for init in ("normal", "kaiming"))
    last = [m for m in normal.modules() if isinstance(m, nn.Conv2d)][-1]
    assert float(last.weight.std()) == pytest.approx(0.05, rel=0.01)
    norms = [m.weight for m in normal.modules() if isinstance(m, nn.BatchNorm2d)]
    assert float(torch.cat(norms).std()) == pytest.approx(0.02, rel=0.1)
    last = [m for m in kaiming.modules() if isinstance(m, nn.Conv2d)][-1]
    assert float(last.weight.std()) == pytest.approx((2 / (9 * 128)) ** 0.5, rel=0.01)
    norms = [m.weight for m in kaiming.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(torch.equal(weight, torch.ones_like(weight)) for weight in norms)


@pytest.mark.parametrize("method", [Softmax, Center])
def test_the_closed_set_classifier_of_cac_starts_near_zero(method: type[Method]) -> None:
    """closedSetClassifier.py of CAC's authors: every linear layer N(0, 0.01), its bias 0."""
    torch.manual_seed(0)
    head = method(network(head="flatten", init="kaiming"), 20, method.Config()).head
    assert float(head.weight.detach().std()) == pytest.approx(0.01, rel=0.05)
    assert not head.bias.any()


def test_normalised_images_have_mean_zero_and_unit_deviation() -> None:
    """Per channel, over the images it was fitted to."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (20, 3, 8, 8), generator=generator).to(torch.uint8)
    images[:, 1] //= 4
    layer = Normalize(3)
    layer.fit(images)
    out = layer(images.float() / 255)
    torch.testing.assert_close(out.mean((0, 2, 3)), torch.zeros(3), rtol=0, atol=1e-5)
    deviation = out.std((0, 2, 3), correction=0)
    torch.testing.assert_close(deviation, torch.ones(3), rtol=1e-5, atol=0)


def test_a_constant_channel_is_not_divided_by_zero() -> None:
    """A border of grey images, or a test with blank ones."""
    layer = Normalize(1)
    images = torch.full((3, 1, 4, 4), 7, dtype=torch.uint8)
    layer.fit(images)
    assert torch.isfinite(layer(images.float() / 255)).all()
    assert float(layer.std) == 1


def test_normalisation_travels_with_the_weights() -> None:
    """No table of constants to keep in step with the data."""
    assert {"normalize.mean", "normalize.std"} <= network().state_dict().keys()


def test_wrong_settings_are_all_named() -> None:
    """With the nearest right key, in one go."""
    with pytest.raises(ConfigError) as caught:
        resolve_backbone({"widht": 2, "dropout": 1.5}, image_size=32, channels=3)
    assert len(caught.value.problems) == 2
    assert "width" in str(caught.value)
    with pytest.raises(ConfigError, match="Did you mean 'osrci'"):
        resolve_backbone({"name": "orsci"}, image_size=32, channels=3)
    assert set(BACKBONES) == {"osrci", "wrn", "resnet18", "resnet50", "cgdl"}


def test_null_stands_for_the_datasets_size_and_for_nothing_else() -> None:
    """An empty value under a wrong key was taken for no value."""
    empty: dict[Any, Any] = {"image_size": None, "channels": None}
    plain = resolve_backbone({}, image_size=32, channels=3)
    assert resolve_backbone(empty, image_size=32, channels=3) == plain
    wrong: tuple[tuple[dict[Any, Any], str], ...] = (
        ({"widht": None}, "key 'widht' does not exist"),
        ({None: None}, "key 'None' does not exist"),
        ({"width": None}, "width must be of type float, not None"),
    )
    for settings, said in wrong:
        with pytest.raises(ConfigError, match=said):
            resolve_backbone(settings, image_size=32, channels=3)


STAGES = {  # of images of 32 pixels: channels and sides
    "osrci": ([32, 32, 32], [16, 8, 4]),
    "wrn": ([4, 8, 16], [32, 16, 8]),
    "resnet18": ([64, 128, 256, 512], [32, 16, 8, 4]),
    "resnet50": ([256, 512, 1024, 2048], [32, 16, 8, 4]),
}
STAGES["cgdl"] = (
    [16, 16, 32, 32, 64, 64, 128, 128, 128, 128],
    [32, 16, 16, 8, 8, 4, 4, 2, 2, 1],
)
NARROW = {
    "cgdl": {"width": 0.25},
    "osrci": {"width": 0.25, "dropout_at": "after"},
    "wrn": {"depth": 10, "widen": 0.25},
}


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("image_size", [32, 20])
def test_stages_are_the_maps_that_the_embedding_is_pooled_from(name: str, image_size: int) -> None:
    """Decoders are built by the declared sizes, and one pass must serve them and the classifier;
    to the bit, in training too, with the same dropout.
    """
    backbone = network(name=name, image_size=image_size, **NARROW.get(name, {}))
    images = torch.rand(4, 3, image_size, image_size)
    shapes = list(zip(backbone.stage_channels, backbone.stage_sides, strict=True))
    if image_size == 32:
        assert (backbone.stage_channels, backbone.stage_sides) == STAGES[name]
    for training in (False, True):
        backbone.train(training)
        torch.manual_seed(0)
        maps = backbone.stages(images)
        pooled = backbone.pool(maps[-1])
        torch.manual_seed(0)
        assert torch.equal(pooled, backbone(images))
        assert [each.shape for each in maps] == [(4, c, side, side) for c, side in shapes]
        assert torch.equal(backbone.stages(images)[0], maps[0]) or training


def test_the_published_stem_quarters_the_image_before_the_first_stage() -> None:
    """A convolution and a pooling, each with stride 2."""
    backbone = network(name="resnet18", stem="imagenet", image_size=224)
    assert backbone.stage_sides == [56, 28, 14, 7]
