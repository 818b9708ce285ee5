"""The documentation as pages: built as `make docs` does, opened from files in a browser."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.browser import Page, browser, needs_chromium

ROOT = Path(__file__).parents[1]
WIDTHS = (1280, 390)
BOX = "document.querySelector('[data-md-component=search-query]')"
pytestmark = [
    pytest.mark.faults,  # for its minute
    pytest.mark.brief,
    pytest.mark.skipif(
        find_spec("mkdocs") is None, reason="mkdocs is not installed (pip install '.[docs]')"
    ),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All pages; a dead link or a page that the navigation leaves out fails here."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    done = subprocess.run(
        [*command, "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """One browser for all pages: it takes a second to start."""
    with browser(tmp_path_factory.mktemp("chromium")) as page:
        yield page


def show(tab: Page, path: Path) -> None:
    """Go to a page and wait until it has run what it brings along."""
    tab.open(path.as_uri())
    address = json.dumps(path.as_uri())
    tab.wait_for(f"location.href === {address} && document.readyState === 'complete'")


@needs_chromium
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_pages_are_quiet_ask_nobody_and_fit(site: Path, tab: Page, width: int, dark: bool):
    """A reader without a network, on a screen or a phone, sees what the author saw."""
    tab.size(width, 900, dark=dark)
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 25
    for path in pages:
        if path.name == "404.html":  # its links begin at the root of a server
            continue
        show(tab, path)
        wide = tab.value("document.documentElement.scrollWidth")
        assert wide <= width, path
        scheme = tab.value("document.body.dataset.mdColorScheme")
        assert scheme == ("slate" if dark else "default"), path
    assert (tab.complaints, tab.foreign_hosts()) == ([], set())


@needs_chromium
def test_the_search_finds_a_page_without_a_server(site: Path, tab: Page):
    """Browsers start no Worker from a file, so the search runs in a frame there."""
    tab.size(1280, 900)
    show(tab, site / "index.html")
    tab.click("[data-md-component=search-query]", "")
    tab.call("Input.insertText", text="openness")
    tab.value(f"{BOX}.dispatchEvent(new Event('keyup', {{bubbles: true}}))")
    found = "[...document.querySelectorAll('.md-search-result__link')].map((one) => one.href)"
    tab.wait_for(f"{found}.some((href) => href.includes('numbers.html'))")
    assert (tab.complaints, tab.foreign_hosts()) == ([], set())
