"""The numbers of equations that docstrings and pages give are those of the papers.

Numbers are gathered from the sources, wherever they stand. Each must be one of its paper's, and
what the text is about there must be what the paper has under that number.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
METHODS = ROOT / "osr_core" / "methods"

# By method, what the equations of its paper are, each by the words that our texts have for it.
PAPERS: dict[str, dict[str, tuple[str, ...]]] = {
    "cac": {
        "Eq. 6": ("tuplet",),
        "Eq. 7": ("anchor",),
        "Eq. 8": ("loss",),
        "Eq. 11": ("score",),
    },
    "center": {"Eq. 4": ("centres",), "Eq. 5": ("center",)},
    "mahalanobis": {"Eq. 1": ("mean",), "Eq. 2": ("unknown_score",)},
    "pmal": {
        "Eq. 4": ("d_M(i, j)", "distances"),
        "Eq. 5": ("d_M(i, j)", "distances"),
        "Eq. 6": ("d_M(i, j)", "distances"),
        "Eq. 7": ("robustness",),
        "Eq. 8": ("diversity",),
        "Eq. 9": ("loss",),
        "Eq. 11": ("weights", "distance"),  # of the attention
        "Def. 1": ("topology",),
        "Alg. 1": ("diversity",),  # the rule for candidates has no number
    },
    "openmax": {"Alg. 1": ("mean",), "Alg. 2": ("omega_k", "v'_0")},
}
NUMBER = re.compile(r"\b(Eq|Def|Alg)\. (\d+)(?:(?:-| to )(\d+))?")
NAMED = re.compile(r" {4}(\S+(?: \S+)*) {2,}")
AROUND = 240  # letters of prose before and after a number that must say what it is


def paper_of(path: Path) -> dict[str, tuple[str, ...]]:
    """The equations that numbers in this file are of."""
    return PAPERS.get("pmal" if path.parent.name == "pmal" else path.stem, {})


def docstrings(path: Path) -> Iterator[str]:
    """Of a module and all that it defines; of a page, its whole text."""
    if path.suffix == ".md":
        yield path.read_text(encoding="utf-8")
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            yield ast.get_docstring(node, clean=False) or ""


def numbers_in(text: str) -> Iterator[tuple[str, str]]:
    """Each number with the text about it: a formula's name at the left, or the prose around it."""
    name, start = "", 0
    for line in text.splitlines(keepends=True):
        named = NAMED.match(line)
        name = named[1] if named else name if line.startswith("     ") else ""
        for found in NUMBER.finditer(line):
            at = start + found.start()
            about = name or text[max(0, at - AROUND) : at + AROUND]
            for number in range(int(found[2]), int(found[3] or found[2]) + 1):
                yield f"{found[1]}. {number}", about
        start += len(line)


FILES = [*sorted((ROOT / "osr_core").rglob("*.py")), ROOT / "docs" / "pmal.md"]
FOUND = [
    (path, *found) for path in FILES for text in docstrings(path) for found in numbers_in(text)
]


@pytest.mark.parametrize(("path", "number", "about"), FOUND)
def test_a_number_is_the_papers_for_what_stands_there(path: Path, number: str, about: str) -> None:
    """A reader with the paper beside the code finds the formula by it."""
    equations = paper_of(path)
    assert number in equations, f"{number} is not in the list of {path.name}'s paper"
    assert any(word.casefold() in about.casefold() for word in equations[number]), about


@pytest.mark.parametrize("name", PAPERS)
def test_every_equation_listed_is_cited(name: str) -> None:
    """A docstring that loses its numbers, or a file that is renamed, would be compared no more."""
    cited = {number for path, number, _ in FOUND if paper_of(path) is PAPERS[name]}
    assert cited == set(PAPERS[name])


def test_numbers_are_found_wherever_they_stand() -> None:
    """At the end of a formula of two lines, in prose and as a range: no wrong one passes unseen."""
    text = "    loss       a +\n               b          (Eq. 3)\n\nOf topology (Def. 1) more.\n"
    (loss, of_loss), (topology, of_topology) = numbers_in(text)
    assert (loss, of_loss) == ("Eq. 3", "loss")
    assert topology == "Def. 1"
    assert "Of topology" in of_topology
    assert [number for number, _ in numbers_in("Eq. 4 to 6 and Alg. 2")] == [
        *("Eq. 4", "Eq. 5", "Eq. 6"),
        "Alg. 2",
    ]
