"""Figures that average trials: of one protocol and dataset, which their feet name."""

import pytest
from handmade import planned_trial, run_of, write_export
from matplotlib.lines import Line2D
from stored_figures import CAC

from analysis.figures.cac import components, sensitivity
from analysis.figures.source import Source

OLDER = "cac@original_2020"


@pytest.fixture
def source(tmp_path):
    """CAC on the older lists, as its row of the paper has them, then on the sweep's own, and on
    another dataset: AUROC 0.9, 0.5 and 0.1.
    """
    own = [(OLDER, "svhn", 0.9), ("cac", "svhn", 0.5), (OLDER, "mnist", 0.1)]
    trials, runs = [], []
    for protocol, dataset, auroc in own:
        named = {} if protocol == "cac" else {"protocol": protocol}
        for split in (0, 1):
            trial = planned_trial("CAC", dataset=dataset, split=split, **CAC, **named)
            trials.append(trial)
            runs.append({**run_of(trial, auroc=auroc), "protocol": protocol})
    return Source.open(write_export(tmp_path, trials, runs))


@pytest.mark.parametrize("make", [sensitivity, components])
def test_foot_names_the_protocol_of_the_trials_shown(make, source):
    """The sweep's own is that of other rows; n counts the splits behind the picture."""
    foot = " ".join(make(source).get_supxlabel().split())
    assert foot.startswith(f"svhn, sweep hand_made, protocol {OLDER}, ")
    assert "n = 2 splits" in foot


def test_a_line_is_of_one_protocol_and_dataset(source):
    """Means over lists of classes, or over datasets, are numbers of nothing."""
    lines = [line for axes in sensitivity(source).axes for line in axes.get_lines()]
    drawn = {float(y) for line in lines if isinstance(line, Line2D) for y in line.get_ydata()}
    assert drawn == {50.0, 90.0}  # accuracy of all, AUROC of the first


def test_a_bar_is_of_one_protocol_and_dataset(source):
    """As the lines."""
    (axes,) = components(source).axes
    assert [bar.get_height() for bar in axes.patches] == [50.0, 90.0]
