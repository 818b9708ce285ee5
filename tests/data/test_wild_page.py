"""docs/data-in-the-wild.md: every row of its tables is tried."""

import re
from pathlib import Path

import pytest
from wild_files import base
from wild_parquet import CASES

from osr_core.data import BENCHMARKS
from osr_core.data.checks import class_counts, remarks
from osr_core.errors import DataError

PAGE = (Path(__file__).parents[2] / "docs" / "data-in-the-wild.md").read_text(encoding="utf-8")
SECTIONS = re.findall(r"^## (\w+): (\w+)\n(.*?)(?=^## )", PAGE, re.MULTILINE | re.DOTALL)
ROWS = [
    (kind.lower(), verdict == "accepted", what, said)
    for kind, verdict, text in SECTIONS
    for what, _, said in re.findall(r"^\| (.*) \| (.*) \| (.*) \|$", text, re.MULTILINE)
    if what not in ("what lies there", "---")
]
NAMES = {"folders": "folder:birds@8", "parquet": "parquet:birds@8"}


def answers(root: Path, name: str) -> tuple[list[str], bool]:
    """What is said of the files, and whether they are accepted."""
    pair, found = BENCHMARKS[name], []
    try:
        found += remarks(root, pair)
        for subset in ("train", "test"):
            assert len(pair.known.load(root, subset)) == class_counts(root, name, subset).total()
    except DataError as error:
        return [*found, str(error)], False
    return found, True


@pytest.mark.parametrize(("kind", "accepted", "what", "said"), ROWS, ids=[row[2] for row in ROWS])
def test_each_row_holds(tmp_path, monkeypatch, kind, accepted, what, said):
    """Accepted or refused, with the words that the row quotes, or without any."""
    monkeypatch.setenv("OSR_CACHE", str(tmp_path / "cache"))
    base(tmp_path, kind)
    CASES[kind, what](tmp_path)
    texts, read = answers(tmp_path, NAMES[kind])
    assert read == accepted, texts
    quotes = re.findall(r"`(.*?)`", said)
    assert (texts == []) == (said == "nothing")
    assert all(quote in "\n".join(texts) for quote in quotes), texts


def test_no_case_is_without_a_row():
    """The page says all that is tried."""
    assert sorted(CASES) == sorted((kind, what) for kind, _, what, _ in ROWS)
