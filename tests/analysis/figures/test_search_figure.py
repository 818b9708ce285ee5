"""What is drawn of a search."""

import math

import numpy as np
import pytest
from searched import CANDIDATES, RULE, record_of, search_facts
from stored_figures import EXPORTS, drawn

from analysis.exports.searches import searches_in
from analysis.figures.draw import draw
from analysis.figures.importance import importances
from analysis.figures.search import (
    beats,
    chosen_search,
    draw_front,
    draw_history,
    search_figure,
    share_of,
)
from analysis.figures.source import Source
from analysis.figures.style import canvas
from osr_core.errors import ConfigError, DataError


def search_of(candidates=CANDIDATES, **about):
    """A search as an export has it."""
    (search,) = searches_in(record_of(search_facts(candidates, **about)))
    return search


def grid_of(value):
    """Complete candidates on a grid, whose values are a function of both settings."""
    return [
        (alpha, weight, "complete", [value(alpha, weight)] * 2, "")
        for alpha in (2.0, 8.0, 14.0, 20.0)
        for weight in (0.01, 0.05, 0.25, 1.0)
    ]


def test_setting_that_decides_alone_has_all_importance():
    """As fANOVA defines it; the other explains nothing."""
    shares = importances(search_of(grid_of(lambda alpha, weight: alpha / 40)))
    assert list(shares) == ["alpha", "anchor_weight"]
    assert shares["alpha"] == pytest.approx(1.0, abs=0.02)


def test_what_settings_explain_only_together_is_not_shared_out():
    """The best lie at two opposite corners: what each says alone is far from all of it."""
    corners = grid_of(lambda alpha, weight: 0.9 if (alpha > 10) == (weight > 0.1) else 0.1)
    assert sum(importances(search_of(corners)).values()) < 0.7


def test_importances_are_the_same_each_time():
    """The forest is drawn with a seed."""
    search = search_of(grid_of(lambda alpha, weight: alpha / 40 + weight / 3))
    assert importances(search) == importances(search)


def test_too_few_or_equally_good_candidates_have_no_importances():
    """A forest would make some up."""
    assert importances(search_of()) == {}
    assert importances(search_of(grid_of(lambda *_: 0.5))) == {}


def test_importances_of_choices_and_of_points_between_steps():
    """A point of one's own may lie between the steps of a range."""
    space = {"alpha": [2.0, 8.0, 14.0, 20.0]}
    space["anchor_weight"] = {"low": 0.0, "high": 1.0, "step": 0.3}
    shares = importances(search_of(grid_of(lambda alpha, _: 1 / alpha), space=space))
    assert list(shares) == ["alpha", "anchor_weight"]


def test_pruned_candidate_is_as_far_behind_as_it_was():
    """0.25 on the first split, where the best has 0.75, is 0.5 behind the best's mean of 0.875."""
    search = search_of()
    assert search.estimate(search.candidates[2]) == 0.875 - 0.5
    assert search.estimate(search.candidates[3]) is None


def test_history_shows_the_best_so_far_of_complete_candidates():
    """A pruned one, however good it looks, does not count."""
    _, (axes,) = canvas()
    draw_history(axes, search_of())
    best = next(line for line in axes.lines if line.get_label() == "best so far")
    assert best.get_xdata().tolist() == [0, 1, 4, 4]
    assert best.get_ydata().tolist() == [62.5, 87.5, 87.5, 87.5]
    shown = {each.get_label(): each.get_offsets().tolist() for each in axes.collections}
    assert shown["pruned"] == [[2, 37.5]]
    assert shown["chosen"] == [[1, 87.5]]


def test_front_has_what_no_other_beats_in_both():
    """Equal points do not beat each other."""
    points = [(1, 3), (2, 2), (3, 1), (1, 2), (2, 2)]
    assert [p for p in points if not any(beats(o, p) for o in points)] == [*points[:3], (2, 2)]
    _, (axes,) = canvas()
    draw_front(axes, search_of(rules=(RULE, "known_accuracy")))
    assert axes.lines[0].get_xdata().tolist() == [87.5]  # the second rule has half of the first


def test_values_lie_between_the_ends_of_their_setting():
    """On a log scale as the sampler sees it; a choice by its position."""
    assert share_of({"low": 0.01, "high": 1.0, "log": True}, 0.1) == pytest.approx(0.5)
    assert share_of({"low": 2, "high": 20}, 11) == 0.5
    assert share_of(["a", "b", "c"], "b") == share_of({"choices": [1, 2, 3], "when": {}}, 2) == 0.5
    assert math.isnan(share_of(["a", "b"], None))


def test_search_with_nothing_to_show_is_drawn(tmp_path):
    """While the first candidates run, or where all have failed."""
    source = Source.open(EXPORTS / "searched")
    empty = search_of((), over=False)
    failed = search_of(CANDIDATES[3:4])
    for search in (empty, failed):
        made = search_figure(source, search)
        assert np.isfinite(made.get_size_inches()).all()


def test_search_is_found_by_the_beginning_of_its_id():
    """The first one where nothing is asked."""
    searches = [search_of(search_id=name) for name in ("3a", "3b", "4c")]
    assert chosen_search(searches, "") is searches[0]
    assert chosen_search(searches, "4") is searches[2]
    with pytest.raises(
        ConfigError, match=r"search '3' fits 2 of the sweep's searches: 3a \(cac on"
    ):
        chosen_search(searches, "3")


def test_foot_says_what_the_rule_looked_at(tmp_path):
    """An oracle is called so below its pictures, too."""
    source = Source.open(EXPORTS / "searched")
    oracle = search_of(looks_at="ORACLE: AUROC on the test images")
    assert "(ORACLE: AUROC on the test images), 5 of 6 candidates, 2 splits x 1 seeds" in (
        search_figure(source, oracle).get_supxlabel().replace("\n", " ")
    )


def test_sweep_without_a_search_has_no_such_figure():
    """It is said, and what is asked of other figures is refused."""
    nothing = r"there is no candidates\.parquet in .*: the sweep leaves nothing of that kind, or"
    with pytest.raises(DataError, match=nothing):
        draw("search", EXPORTS, sweep="cac-table2")
    with pytest.raises(ConfigError, match="figure roc is about no search"):
        draw("roc", EXPORTS, sweep="cac-table2", search="3f")
    assert drawn("search", "svg") == drawn("search", "svg")
