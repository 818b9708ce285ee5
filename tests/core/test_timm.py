"""Networks of timm by name; what needs timm is left out where it is not installed."""

import sys

import pytest
import torch

from osr_core.backbones import backbone_named, build_backbone, resolve_backbone
from osr_core.backbones.flops import forward_flops
from osr_core.backbones.from_timm import network_of_timm
from osr_core.errors import ConfigError
from osr_core.execution import check_code
from osr_core.source import source_of

NAMES = ("timm/resnet18", "timm/vit_tiny_patch16_224", "timm/mobilenetv3_small_050")


def test_without_timm_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra, which most users lack."""
    network_of_timm.cache_clear()
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigError, match=r'pip install "osr-sweeps\[timm\]"'):
        resolve_backbone({"name": "timm/resnet18"}, image_size=32, channels=3)


@pytest.mark.parametrize("name", NAMES)
def test_a_network_of_timm_embeds_images_of_any_size_and_channels(name: str) -> None:
    """Convolutions, attention with positions, and one whose head has a layer of its own."""
    pytest.importorskip("timm")
    settings = resolve_backbone({"name": name}, image_size=32, channels=1)
    torch.manual_seed(0)
    backbone = build_backbone(settings).eval()
    torch.manual_seed(0)
    again = build_backbone(settings).eval()
    images = torch.rand(3, 1, 32, 32)
    with torch.no_grad():
        embedding = backbone(images)
        assert torch.equal(embedding, again(images))
    assert embedding.shape == (3, backbone.dim)
    assert forward_flops(settings) > 1e6


def test_timms_version_is_in_the_id() -> None:
    """Two machines with two releases of it may compute two networks."""
    timm = pytest.importorskip("timm")
    settings = resolve_backbone({"name": NAMES[0]}, image_size=32, channels=3)
    assert settings["version"] == f"1 of timm {timm.__version__}"
    config = {"method": {"name": "softmax"}, "backbone": settings}
    identity = {"kind": "fit", "config": config, "inputs": {}, "version": 2}
    check_code(identity)
    assert source_of({**identity, "config": {**config, "training": {"validation": 0}}})


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("timm/resnt18", "does not exist in timm .* Near are: timm/resnet18"),
        ("timm/resnet18.a1_in1k", "none are fetched. Write 'timm/resnet18'"),
        ("timm/", "does not exist in timm"),
    ],
)
def test_wrong_names_are_told(name: str, problem: str) -> None:
    """Before anything is planned."""
    pytest.importorskip("timm")
    with pytest.raises(ConfigError, match=problem):
        backbone_named(name)
