"""A network as CAC's authors build it, brought in by the mapping of names that the docs give."""

from collections import OrderedDict
from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor, nn

from osr_core.backbones import resolve_backbone
from osr_core.context import WEIGHTS
from osr_core.data import benchmark
from osr_core.data.splits import class_split
from osr_core.execution import run_stage
from osr_core.imported import Imported
from osr_core.kinds import IMPORT_WEIGHTS
from osr_core.methods import METHODS
from osr_core.tensors import from_bytes, to_bytes
from osr_core.trial import Trial
from osr_core.weights_import import FILE
from tests.plain import context

PAGE = Path(__file__).parents[2] / "docs" / "imports.md"
MEAN, STD = [0.5, 0.4, 0.3], [0.2, 0.25, 0.3]
WIDTHS = (3, 64, 64, 128, 128, 128, 128, 128, 128, 128)
SPLIT = class_split("cifar10", "cac", 0)


class Theirs(nn.Module):
    """Convolutions and batch norms by the authors' names; their places are those of the paper."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Module()
        for number in range(1, 10):
            stride = 2 if number % 3 == 0 else 1
            before, width = WIDTHS[number - 1 : number + 1]
            conv = nn.Conv2d(before, width, 3, stride, 1, bias=False)
            self.encoder.add_module(f"conv{number}", conv)
            self.encoder.add_module(f"bn{number}", nn.BatchNorm2d(width))
        self.classify = nn.Linear(128 * 4 * 4, SPLIT.num_known)
        self.means = nn.Parameter(10 * torch.eye(SPLIT.num_known).double(), requires_grad=False)

    def forward(self, images: Tensor) -> Tensor:
        """(B, K) outputs of the linear layer, from normalised images."""
        maps = images
        for number in range(1, 10):
            conv, norm = (getattr(self.encoder, f"{name}{number}") for name in ("conv", "bn"))
            maps = nn.functional.leaky_relu(norm(conv(maps)), 0.2)
        logits: Tensor = self.classify(maps.flatten(1))
        return logits


def names_of_the_page() -> dict[str, str]:
    """The mapping in docs/imports.md."""
    block = PAGE.read_text(encoding="utf-8").partition("# cac_names.yaml")[2].partition("```")[0]
    found: dict[str, str] = yaml.safe_load(block)
    return found


def test_the_authors_network_says_the_same_under_our_names() -> None:
    """Order, strides, normalisation and the flattening before the head: any slip would show."""
    theirs = Theirs()
    theirs.train()(torch.rand(64, 3, 32, 32))  # statistics of the batch norms
    given: OrderedDict[str, Tensor] = theirs.state_dict()
    cac, published = METHODS["cac"], METHODS["cac"].published(benchmark("cifar10"))
    backbone = resolve_backbone(published.backbone, image_size=32, channels=3)
    trial = Trial(
        method=cac,
        config=cac.Config(),
        split=SPLIT,
        fingerprints={"cifar10/train": "train", "cifar10/test": "test"},
        backbone=backbone,
        training=published.training,
        seed=0,
        imported=Imported(
            what="weights",
            file="a.pth",
            sha256="3f9a",
            names=names_of_the_page(),
            normalization={"mean": MEAN, "std": STD},
            anchors="recompute",
        ),
    )
    config = trial.model.inputs["classifier"].config
    inputs = {FILE: {"weights.safetensors": to_bytes(given)}}
    result = run_stage(IMPORT_WEIGHTS.name, config, context(inputs))
    assert result.artifacts["left_over.json"] == b'["means"]'
    ours = cac.fresh(config, SPLIT.num_known, torch.device("cpu"))
    ours.load_trained(from_bytes(result.artifacts[WEIGHTS])[0])
    images = torch.rand(8, 3, 32, 32)
    normalised = (images - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    with torch.no_grad():
        found = ours.eval().head(ours.embed(images))
        expected = theirs.eval()(normalised)
    assert found.numpy() == pytest.approx(expected.numpy(), rel=1e-4, abs=1e-5)
