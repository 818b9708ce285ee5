"""The examples of docs/tutorial.md, docs/search.md and docs/own-backbone.md, which readers copy."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
import yaml

from osr_core.backbones import BACKBONES, build_backbone, resolve_backbone
from osr_core.methods import Softmax
from sweeps.planning.plan import make_plan
from sweeps.planning.spec import packaged_specs, parse_spec

DOCS = Path(__file__).parents[1] / "docs"
DATA = {f"digits/{subset}": subset for subset in ("train", "test")}


def blocks(page: str, language: str) -> list[str]:
    """A page's blocks in a language."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_tutorials_sweep_is_planned_as_it_says() -> None:
    """Its counts, and that OpenMax, which is added later, trains nothing."""
    spec, more = blocks("tutorial.md", "yaml")
    first = make_plan(parse_spec(yaml.safe_load(spec), "first.yaml"), DATA).counts()
    assert (first["trials"], first["stages"], first["fits"]) == (8, 14, 6)
    text = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    assert "8 trials and 14 stages" in text
    assert "6 fits for 8 trials" in text
    second = make_plan(parse_spec(yaml.safe_load(spec + more), "first.yaml"), DATA).counts()
    assert second["trials"] == 10
    assert second["fits"] == 6


def test_the_examples_of_a_search_are_taken() -> None:
    """That of the digits is the packaged spec's own; every setting of the long one is right."""
    first, space, long, _ = (yaml.safe_load(each) for each in blocks("search.md", "yaml"))
    packaged = yaml.safe_load(packaged_specs()["digits_search"].read_text(encoding="utf-8"))
    assert first["cac"] == packaged["methods"]["cac"]
    values = {"name": "a", "datasets": ["digits"], "splits": [0, 1, 2]}
    search = parse_spec({**values, "methods": {"cac": long}}, "search.md").searches[0]
    assert search.options.top == 3
    owners = {"anchor_weight": "cac", "neighbours": "knn", "rejection": "pmal"}
    for name, given in space["space"].items():
        method = owners.get(name, "softmax")
        beside = {"loss": ["cross_entropy", "one_vs_rest"]} if "when" in given else {}
        block = {"search": {"space": {**beside, name: given}}}
        assert parse_spec({**values, "methods": {method: block}}, "search.md").searches


def test_the_example_of_a_backbone_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its embedding has the declared width, and a method learns on it."""
    (code,) = blocks("own-backbone.md", "python")
    module = ModuleType("small")
    monkeypatch.setitem(sys.modules, "small", module)  # where its types are looked up
    exec(compile(code, "small.py", "exec"), vars(module))
    monkeypatch.setitem(BACKBONES, "small", module.Small)
    settings = resolve_backbone({"name": "small", "width": 4}, image_size=16, channels=1)
    backbone = build_backbone(settings)
    embedding = backbone(torch.rand(2, 1, 16, 16))
    assert embedding.shape == (2, backbone.dim) == (2, 16)
    method = Softmax(backbone, 3, Softmax.Config())
    losses = method.losses_at(embedding, torch.tensor([0, 2]))
    sum(losses.values()).backward()
    assert all(parameter.grad is not None for parameter in backbone.parameters())
