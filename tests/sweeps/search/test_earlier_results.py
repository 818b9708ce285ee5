"""What a search takes from earlier sweeps: answers to its own question, and no others."""

from pathlib import Path
from typing import Any

import pytest

from sweeps.search.searches import found_before
from sweeps.search.subject import Subject
from sweeps.store.store import Store
from tests.sweeps.search.worlds import play, smooth, spec_with, study_of

SEARCH = {"candidates": 6, "prune": "none"}


def smooth_everywhere(trial: Any) -> dict[str, float]:
    """By an oracle, too."""
    found = dict(smooth(trial))
    return found | {"test/auroc": found["validation/auroc"]}


def taken(folder: Path, earlier: dict[str, Any], search: dict[str, Any], **changes: Any) -> Any:
    """What a search takes of an earlier one, and that one's candidates."""
    store = Store(folder)
    spec = spec_with({**SEARCH, **earlier})
    study = play(lambda: study_of(spec, store), smooth_everywhere, seed=1, at_once=2)
    store.save_sweep("earlier", {"searches": [study.facts()]})
    asking = spec_with({**SEARCH, "from": "earlier", **search}, **changes)
    subject: Subject = study_of(asking, store).subject
    return found_before(subject, store), study.candidates


@pytest.mark.parametrize("more", [{}, {"sampler": "qmc"}, {"candidates": 9}, {"lag": 2}])
def test_results_of_the_same_question_are_taken_with_their_averages(
    tmp_path: Path, more: dict[str, Any]
):
    """However the settings were suggested; here all six, over five splits."""
    found, candidates = taken(tmp_path, {}, more)
    rule = "held_out_classes_auroc"
    assert found == [(each.params, [sum(each.values[rule]) / 5]) for each in candidates]


@pytest.mark.parametrize(
    "more",
    [
        {"select": "known_accuracy"},
        {"splits": [0, 1]},
        {"splits": [1, 0, 2, 3, 4]},
        {"seeds": [1]},
        {"hidden": 0.5},
        {"held_out": 0.1},
        {"space": {"anchor_weight": {"low": 0.01, "high": 1.0}}},
    ],
)
def test_results_of_another_rule_split_seed_share_or_space_are_not(
    tmp_path: Path, more: dict[str, Any]
):
    """Their numbers cannot be compared, or their settings are no candidates here."""
    assert taken(tmp_path, {}, more)[0] == []


@pytest.mark.parametrize(
    "changes", [{"training": {"epochs": 3}}, {"backbone": {"width": 0.5}}, {"recipe": "published"}]
)
def test_results_of_another_schedule_or_network_are_not(tmp_path: Path, changes: dict[str, Any]):
    """The block is the same, and the question another."""
    assert taken(tmp_path, {}, {}, **changes)[0] == []


def test_settings_out_of_a_narrower_space_are_left_out(tmp_path: Path):
    """Those within it are taken; each lies within the wider one."""
    weight = {"low": 0.05, "high": 0.2, "log": True}
    found, candidates = taken(tmp_path, {}, {"space": {"anchor_weight": weight, "alpha": [10.0]}})
    fit = [
        each.params
        for each in candidates
        if 0.05 <= each.params["anchor_weight"] <= 0.2 and each.params["alpha"] == 10.0
    ]
    assert [params for params, _ in found] == fit
    assert 0 < len(fit) < len(candidates)


def test_settings_that_an_oracle_has_led_lead_no_search_without_one(tmp_path: Path):
    """Their numbers are honest; which settings were tried is not."""
    rule = "held_out_classes_auroc"
    led = {"select": rule, "objective": [rule, "oracle_auroc"]}
    assert taken(tmp_path / "a", led, {"select": rule})[0] == []
    assert taken(tmp_path / "b", led, led)[0] != []
