"""What the report shows of a sweep's searches."""

import re

import pyarrow.parquet as pq
import pytest
from searched import CANDIDATES as TRIED
from searched import fit_id, record_of, search_facts
from test_report import history, opened, write_sweep

from analysis.exports.candidates import CANDIDATES, write_candidates
from analysis.exports.schema import HISTORY
from analysis.exports.searches import searches_in
from analysis.report.page import report
from tests.browser import needs_chromium

__all__ = ["opened"]
NAMES = ("loss", "wall_s")
ORACLE = {"rules": ("oracle_auroc",), "looks_at": "ORACLE: AUROC on the test images"}


@pytest.fixture
def page_of(tmp_path):
    """The page about a sweep with some searches."""

    def made(*searches):
        write_sweep(tmp_path / "exports")
        return report_with(tmp_path, *searches)

    return made


def report_with(folder, *searches):
    """The page about a sweep that is exported there, with these searches."""
    path = folder / "exports" / "hand_made" / CANDIDATES
    write_candidates(path, "hand_made", searches_in(record_of(*searches)))
    return report(folder / "exports")


def rows_of(page):
    """The cells of the first search's table."""
    table = page.split("Search of cac on svhn</h3>")[1].split("<tbody>")[1].split("</tbody>")[0]
    return [
        re.findall(r"<t[hd][^>]*>(?:<strong>)?([^<]*)", row) for row in table.split("</tr>")[:-1]
    ]


def test_search_has_its_rule_summary_figure_and_best_candidates(page_of):
    """Best first; a pruned one is as far behind as it was on what it met."""
    page = page_of(search_facts(planned=5))
    assert "by held_out_classes_auroc (AUROC of held-out images)" in page
    assert "5 of 5 candidates asked: 3 complete, 1 pruned, 1 failed; pruning saved 1 of 10" in page
    assert page.count("data:image/svg+xml") == 1
    assert rows_of(page)[0] == [
        *("1", "87.50", "75.0", "100.0", "chosen"),
        "alpha=15.64, anchor_weight=0.081",
    ]
    assert [row[1] for row in rows_of(page)] == ["87.50", "62.50", "56.25", "~37.50", "-"]


def test_search_says_how_long_pruned_candidates_would_have_trained_on(page_of, tmp_path):
    """Seven fits of 2 x 30 s for seven steps: the one step that was spared is about a minute."""
    page_of()
    fits = [fit_id(n, at) for n in (0, 1, 4) for at in (0, 1)] + [fit_id(2, 0)]
    rows = [(each, "cac", epoch, name, 30.0) for each in fits for epoch in (1, 2) for name in NAMES]
    pq.write_table(history(rows), tmp_path / "exports" / "hand_made" / HISTORY)
    page = report_with(tmp_path, search_facts(planned=5))
    assert "pruning saved 1 of 10 steps, about 1 min 0 s." in page
    shared = [row for row in rows if row[0] != fit_id(0, 1)]
    pq.write_table(history(shared), tmp_path / "exports" / "hand_made" / HISTORY)
    assert "1 of 10 steps, about 51 s." in report_with(tmp_path, search_facts(planned=5))


def test_only_the_best_ten_are_listed(page_of):
    """A search has hundreds; candidates.parquet has them all."""
    page = page_of(search_facts([*TRIED, *TRIED, *TRIED], planned=15))
    assert len(rows_of(page)) == 10
    assert "The best 10 of 15 candidates." in page


def test_search_by_an_oracle_is_red(page_of):
    """And no other."""
    page = page_of(search_facts(search_id="a"), search_facts(search_id="b", **ORACLE))
    assert page.count('<h3 class="oracle">') == 1
    assert '<p class="selection oracle">by oracle_auroc (ORACLE: AUROC on the test' in page
    assert page.count('<p class="selection">') == 1


@needs_chromium
@pytest.mark.parametrize("width", [1280, 390])
def test_searches_can_be_read_in_a_browser(page_of, opened, width):
    """The page is no wider than the window: the figure and the table move inside."""
    tab = opened(page_of(search_facts(), search_facts(search_id="b", **ORACLE)), width)
    assert tab.value("document.documentElement.scrollWidth <= innerWidth")
    assert tab.all_pictures_are_shown()
    red = "getComputedStyle(document.querySelector('h3.oracle')).color"
    assert tab.value(red) == "rgb(179, 22, 27)"
    assert tab.value("document.querySelector('figure.wide img').clientWidth >= 700")
    assert tab.complaints == []
