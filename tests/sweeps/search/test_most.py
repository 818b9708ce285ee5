"""What `osr plan` and `osr cost` say of searches: the most that they can cost."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from sweeps.commands.app import app
from sweeps.planning.data import placeholders
from sweeps.planning.plan import make_plan
from sweeps.planning.spec import parse_spec
from sweeps.search.most import at_most

SPACE = {"anchor_weight": {"low": 0.01, "high": 1.0, "log": True}}
SPEC = {"name": "costly", "datasets": ["digits"], "splits": [0, 1, 2], "training": {"epochs": 8}}


def most(method: str = "cac", space: Any = SPACE, **search: Any) -> dict[str, Any]:
    """The one search of a spec of three splits."""
    block = {"space": space, "candidates": 10, **search}
    spec = parse_spec({**SPEC, "methods": {method: {"search": block}}}, "costly")
    (row,) = at_most(make_plan(spec, placeholders(["digits"])))
    return row


def test_each_candidate_is_fitted_on_each_split_and_the_chosen_one_anew():
    """10 candidates on 3 splits, and 3 fits of the evaluation; every fit has 8 epochs."""
    row = most()
    assert (row["method"], row["dataset"]) == ("cac", "digits")
    assert (row["candidates"], row["steps"], row["fits"]) == (10, 3, 33)
    assert row["epochs"] == 33 * 8
    assert row["flops"] > 0


def test_seeds_splits_and_chosen_candidates_count():
    """2 splits with 2 seeds are 4 steps; three chosen ones are trained on the spec's 3 splits."""
    row = most(splits=[0, 1], seeds=[0, 1], top=3)
    assert (row["steps"], row["fits"]) == (4, 10 * 4 + 3 * 3)


def test_two_rules_that_hide_the_same_classes_share_their_fit():
    """AUROC and OSCR are of one network; accuracy on all known classes is of another."""
    rules = ("held_out_classes_auroc", "held_out_classes_oscr", "known_accuracy")
    fits = [most(objective=list(rules[:n]), prune="none")["fits"] for n in (1, 2, 3)]
    assert fits == [33, 33, 63]


def test_what_all_candidates_share_counts_once():
    """PMAL trains two networks, mines and trains the last one: ten of these on 3 splits for the
    search, one for the evaluation, and the ensemble once for each. k of k-NN trains no network.
    """
    space = {"epsilon": {"low": 0.1, "high": 0.9}}
    assert most("pmal", space)["fits"] == (10 * 3 + 2 * 3) + 3 * 3
    assert most("pmal", space, top=2)["fits"] == (10 * 3 + 2 * 3) + (2 * 3 + 2 * 3)
    assert most("knn", {"neighbours": {"low": 1, "high": 50}})["fits"] == 3 + 3


def test_what_only_some_candidates_share_counts_for_each():
    """A learning rate is in every network; and a setting that counts only beside another one."""
    assert most("pmal", {"training.lr": {"low": 0.01, "high": 0.1}})["fits"] == 3 * 33
    when = {"low": 0.1, "high": 0.9, "when": {"quality": "robustness"}}
    space = {"quality": ["probability", "robustness"], "epsilon": when}
    assert most("pmal", space)["fits"] == 3 * 33


def test_a_space_that_holds_epochs_or_members_costs_what_its_most_costly_candidate_does():
    """Eight epochs are the default; the space has up to 32, and the chosen one may have them."""
    row = most(space={**SPACE, "training.epochs": {"low": 4, "high": 32}})
    assert row["epochs"] == 33 * 32
    assert row["flops"] == 4 * most()["flops"]
    members = most("pmal", {"members": [2, 5, 3]})
    assert members["fits"] == (10 * 4 + 2) * 3 + 3 * 6  # two of the five are in every ensemble
    assert most(space={"training.epochs": [1, 2]})["epochs"] == 33 * 2


def test_rungs_cost_nothing_at_most():
    """The parts of a fit are as long as the fit, and count as one."""
    whole, parts = most(), most(rungs=[2, 5])
    assert parts == whole


@pytest.fixture
def spec(tmp_path: Path) -> str:
    """A file with a search beside a method of its own."""
    search = {"space": SPACE, "candidates": 10}
    path = tmp_path / "costly.yaml"
    path.write_text(yaml.safe_dump({**SPEC, "methods": {"softmax": {}, "cac": {"search": search}}}))
    return str(path)


def test_plan_says_what_searches_cost_at_most(spec: str, tmp_path: Path):
    """Beside the counts of what is certain, in both forms."""
    runner, home = CliRunner(), ["--home", str(tmp_path)]
    facts = json.loads(runner.invoke(app, ["plan", spec, "--json", *home]).stdout)
    assert (facts["fits"], facts["searches_at_most"]) == (3, [most()])
    text = " ".join(runner.invoke(app, ["plan", spec, *home]).stdout.split())
    assert "searches: at most this much more" in text
    assert "cac digits 10 3 33 264" in text
    plain = json.loads(runner.invoke(app, ["plan", "digits", "--json", *home]).stdout)
    assert plain["searches_at_most"] == []


def test_plan_says_where_the_papers_values_are_not_tried(tmp_path: Path):
    """They come first by default, and k-NN's 50 neighbours are no candidate up to 40."""
    home = ["--home", str(tmp_path), "--json"]
    said = []
    for high, more in ((40, {}), (60, {}), (40, {"enqueue": [{"neighbours": 5}]})):
        search = {"space": {"neighbours": {"low": 1, "high": high}}, **more}
        path = tmp_path / "spec.yaml"
        path.write_text(yaml.safe_dump({**SPEC, "methods": {"knn": {"search": search}}}))
        facts = json.loads(CliRunner().invoke(app, ["plan", str(path), *home]).stdout)
        said.append(any("the paper's values do not lie in its" in r for r in facts["remarks"]))
    assert said == [True, False, False]


def test_cost_has_a_row_for_each_search(spec: str):
    """With its hours at the stated rate."""
    rows = json.loads(CliRunner().invoke(app, ["cost", spec, "--json"]).stdout)
    assert [row["sweep"] for row in rows] == ["costly", "costly, search of cac on digits, at most"]
    assert [row["fits"] for row in rows] == [3, 33]
    assert rows[1]["GPU hours"] == most()["flops"] / 5e13 / 3600
