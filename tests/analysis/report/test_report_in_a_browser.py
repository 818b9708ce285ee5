"""What a reader sees: without a script, on a phone, in the dark, on paper."""

import pytest
from test_report import AUROC, TRIALS, exports, opened, page

from analysis.report.page import report
from tests.browser import needs_chromium

__all__ = ["exports", "opened", "page"]
BACKGROUND = "getComputedStyle(document.body).backgroundColor"
ROWS = "[...document.querySelectorAll('.leaderboard tbody tr')].filter((r) => r.clientHeight)"


@needs_chromium
def test_all_can_be_read_without_a_script(page, opened):
    """Numbers, sentences, pictures and what is folded; only what needs a script is not offered."""
    tab = opened("")
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    tab = opened(page)
    text = tab.value("document.body.innerText")
    assert "CAC leads MLS by 10.0 points of AUROC [10.0, 10.0], 2 splits." in text
    assert "Show only methods with" not in text
    for number in {100 * value for value in AUROC}:
        assert f"{number:.1f}" in tab.value("document.body.textContent")
    assert tab.value("document.querySelectorAll('button').length") == 0
    assert tab.value("document.querySelector('.plot').clientWidth > 200")
    tab.value("document.querySelector('details.method summary').click()")
    assert tab.value("document.querySelector('details.method').open")


@needs_chromium
def test_a_word_filters_rows_lines_and_methods(page, opened):
    """One field for leaderboards, strips, curves and methods; empty, it shows all again."""
    tab = opened(page)
    type_in = "(word) => {const f = document.getElementById('filter'); f.value = word; "
    type_in += "f.dispatchEvent(new Event('input'));}"
    assert tab.value(f"{ROWS}.length") == 2
    tab.value(f"({type_in})('mls, arpl')")
    assert tab.value(f"{ROWS}.map((r) => r.dataset.row)") == ["MLS"]
    lines = "[...document.querySelectorAll('.line[data-row=CAC]')]"
    assert tab.value(f"{lines}.every((l) => getComputedStyle(l).display === 'none')")
    tab.value(f"({type_in})('')")
    assert tab.value(f"{ROWS}.length") == 2


@needs_chromium
def test_page_is_dark_where_the_reader_wants_it(page, opened):
    """Its own pictures too: lines are drawn in the page's colours."""
    tab = opened(page)
    curve = "getComputedStyle(document.querySelector('.plot .curve')).stroke"
    light = (tab.value(BACKGROUND), tab.value(curve))
    tab.size(1280, 900, dark=True)
    dark = (tab.value(BACKGROUND), tab.value(curve))
    assert light[0] == "rgb(255, 255, 255)"
    assert dark[0] == "rgb(21, 24, 28)"
    assert light[1] != dark[1]


@needs_chromium
def test_paper_is_light_and_shows_what_is_folded(page, opened):
    """Whatever the screen's colours; nobody can unfold paper."""
    tab = opened(page)
    tab.size(1280, 900, dark=True)
    tab.call("Emulation.setEmulatedMedia", media="print")
    assert tab.value(BACKGROUND) == "rgb(255, 255, 255)"
    tab.call(
        "Emulation.setDeviceMetricsOverride",
        width=794,
        height=1123,
        deviceScaleFactor=1,
        mobile=False,
    )  # A4
    assert tab.value("document.documentElement.scrollWidth <= innerWidth")
    assert tab.value("document.querySelector('nav').clientHeight") == 0
    assert tab.value("document.querySelector('details.method h4').clientHeight") > 0


@needs_chromium
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_part_unfolded_is_no_wider_than_the_window(exports, opened, width, dark):
    """Wide tables move in their own box; the papers' tables are there too."""
    tab = opened(report(exports), width)
    tab.size(width, 900, dark=dark)
    tab.unfold()
    assert tab.value("document.documentElement.scrollWidth <= innerWidth")
    assert (tab.complaints, tab.foreign_hosts()) == ([], set())


@needs_chromium
def test_link_to_a_trial_unfolds_what_it_is_in(page, opened):
    """The rows of trials are folded; a number leads into them."""
    tab = opened(page)
    tab.value("document.querySelector('.leaderboard td a').click()")
    name = TRIALS[0].trial_id[:8]
    cell = f"[...document.querySelectorAll('th')].find((c) => c.textContent === '{name}')"
    tab.wait_for(f"{cell}.clientHeight > 0")
