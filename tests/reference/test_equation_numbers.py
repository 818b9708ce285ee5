"""The equations' numbers that docstrings give are those of the papers."""

import importlib
import pkgutil
import re

import pytest

from osr_core import methods

# Where each formula stands in its paper, by module and by the formula's name in the docstring.
PRINTED = {
    "cac": {"tuplet": "Eq. 6", "anchor": "Eq. 7", "loss": "Eq. 8", "score": "Eq. 11"},
    "center": {"center": "Eq. 5", "centres": "Eq. 4"},
    "mahalanobis": {"mean": "Eq. 1", "unknown_score": "Eq. 2"},
    "pmal.distance": {"weights": "Eq. 11", "distance": "Eq. 11", "loss": "Eq. 9"},
    "pmal.mining": {"diversity": "Alg. 1, Eq. 8"},  # the rule for candidates has no number
    "pmal.topology": {"d_M(i, j)": "Eq. 4-6", "topology": "Def. 1", "robustness": "Eq. 7"},
}
NUMBERED = re.compile(r"\(([^()]*(?:Eq|Def)\. [^()]*)\)$")
NAMED = re.compile(r" {4}(\S+(?: \S+)*) {2,}")


def numbers_in(docstring: str) -> dict[str, str]:
    """By the name at the left, the number at the right; a name's formula may take several lines."""
    found, name = {}, ""
    for line in docstring.splitlines():
        if named := NAMED.match(line):
            name = named[1]
        if numbered := NUMBERED.search(line):
            found[name] = numbered[1]
    return found


def modules() -> list[str]:
    """Every module of the methods, by its name below them."""
    prefix = f"{methods.__name__}."
    walked = pkgutil.walk_packages(methods.__path__, prefix)
    return [module.name.removeprefix(prefix) for module in walked]


@pytest.mark.parametrize("module", modules())
def test_numbers_of_equations_are_the_papers(module: str) -> None:
    """A reader with the paper beside the code finds the formula by it."""
    docstring = importlib.import_module(f"{methods.__name__}.{module}").__doc__ or ""
    assert numbers_in(docstring) == PRINTED.get(module, {})


def test_every_formula_listed_is_looked_for() -> None:
    """A module that is renamed must not take its numbers out of the comparison."""
    assert set(PRINTED) <= set(modules())


def test_a_number_is_found_where_its_formula_ends() -> None:
    """Else a wrong number would pass as none."""
    text = "    loss       a +\n               b          (Eq. 3)\n    score one  c   (Def. 1)\n"
    assert numbers_in(text) == {"loss": "Eq. 3", "score one": "Def. 1"}
