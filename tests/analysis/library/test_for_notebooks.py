"""What a notebook gets is what the commands print and draw."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

import analysis
from analysis.figures.draw import draw
from analysis.figures.style import encoded, styled
from osr_core.errors import ConfigError
from tests.sweeps.command import run_osr

HOME = Path(__file__).parents[2] / "golden" / "figures"


def test_a_papers_table_is_that_of_the_command():
    """As Markdown, which a notebook draws."""
    table = analysis.paper_table("cac2", HOME / "exports")
    assert table + "\n" == run_osr("table", "cac2", home=HOME).stdout
    assert table._repr_markdown_() == table


def test_a_figure_is_an_object_of_the_same_picture():
    """Which may be changed before it is saved."""
    figure = analysis.figure("confusion", HOME / "exports", sweep="cac-table2")
    assert isinstance(figure, Figure)
    with styled():
        content = encoded(figure, "svg")
    assert content == draw("confusion", HOME / "exports", sweep="cac-table2", format="svg")


def test_a_wrong_name_is_told_as_the_command_tells_it():
    """With what there is."""
    with pytest.raises(ConfigError, match="figure 'rocc' does not exist"):
        analysis.figure("rocc", HOME / "exports")
