"""docs/deviations.md: every method stands there, and what it points to exists."""

import ast
import re
from pathlib import Path

from osr_core.methods import METHODS, OWN

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "deviations.md").read_text()
DEVIATES = ("eviation", "differs from", "leaves open")  # in the docstring of a file that argues one
ROWS = [line.strip("|").split("|") for line in PAGE.splitlines() if re.match(r"\| (?!---)", line)]


def test_every_method_says_how_it_deviates() -> None:
    """A row for each, also where nothing deviates: silence could mean that nobody looked."""
    named = {row[0].strip() for row in ROWS}
    assert {METHODS[name].title for name in OWN} - named == set()


def test_every_choice_names_its_file_and_its_effect() -> None:
    """Five columns for methods, four elsewhere: the last two are the effect and a file."""
    for row in ROWS:
        if row[-1].strip() not in ("where", "the methods' files"):
            assert (ROOT / row[-1].strip(" `")).is_file(), row
            assert len(row) in (4, 5), row
            assert row[-2].strip(), row


def test_every_file_that_deviates_is_on_the_page() -> None:
    """Three of them had been written without a row."""
    deviating = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "osr_core").rglob("*.py")
        if any(word in (ast.get_docstring(ast.parse(path.read_text())) or "") for word in DEVIATES)
    }
    assert len(deviating) > 20
    assert deviating - {row[-1].strip(" `") for row in ROWS} == set()
