"""What a reader of the report alone is told about a method of their own works as it is printed."""

import html
import re
import tomllib

import pytest
import torch
import yaml
from test_report import write_sweep

from analysis.report.page import report
from osr_core.config import build
from osr_core.methods.plugins import GROUP, problem_of


class Backbone(torch.nn.Module):
    """All of a network that a method asks for before it trains."""

    dim = 4


@pytest.fixture
def section(tmp_path):
    """The folded part of a page."""
    write_sweep(tmp_path)
    return re.search(
        r"<details>\n<summary><strong>Add a method of your own.*?</details>",
        report(tmp_path),
        re.DOTALL,
    )[0]


@pytest.fixture
def blocks(section):
    """What there is to copy: the class, the entry point, the commands and the line of a spec."""
    return [html.unescape(block) for block in re.findall(r"<pre>(.*?)</pre>", section, re.DOTALL)]


def test_class_is_a_method_and_its_settings_those_of_the_specs_line(blocks):
    """Whatever a method must have, the class shows."""
    code, declared, _, spec = blocks
    ((name, points),) = tomllib.loads(declared)["project"]["entry-points"][GROUP].items()
    made = {"__name__": points.partition(":")[0]}
    exec(code, made)
    method = made[points.partition(":")[2]]
    assert problem_of(method, name) == ""
    ((named, values),) = yaml.safe_load(spec)["methods"].items()
    assert named == name
    assert [build(method.Config, {"scale": each}).scale for each in values["scale"]] == [5, 10]


def test_class_gives_losses_and_scores(blocks):
    """An equal embedding and direction is the least unknown that there can be."""
    made = {"__name__": "my_method"}
    exec(blocks[0], made)
    method = made["Mine"](Backbone(), 3, made["Mine"].Config())
    embedding, label = method.directions.detach() * 2, torch.arange(3)
    losses = method.losses_at(embedding, label)
    assert tuple(losses) == method.terms
    assert losses["cross_entropy"].shape == ()
    predicted = method.predict(embedding)
    assert predicted.logits.argmax(1).tolist() == [0, 1, 2]
    torch.testing.assert_close(predicted.unknown_score, -torch.ones(3))


def test_reader_is_told_what_must_be_there_and_where_to_install_it(section, blocks):
    """A class without `source`, and a package beside another `osr`, are refused or never seen."""
    assert "<code>source</code> too" in section
    assert "into the environment that has <code>osr</code>" in section
    assert blocks[2].splitlines() == ["pip install .", "osr methods mine"]
    (module,) = tomllib.loads(blocks[1])["tool"]["setuptools"]["py-modules"]
    assert f"<code>{module}.py</code>" in section
