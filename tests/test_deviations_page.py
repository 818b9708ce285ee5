"""docs/deviations.md: every method stands there, and what it points to exists."""

import re
from pathlib import Path

from osr_core.methods import METHODS, OWN

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "deviations.md").read_text()
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
