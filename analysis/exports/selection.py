"""How the hyperparameters of trials were chosen, in words.

A trial's selection is a text: "none", or the rule of a search with what it looked at and how many
candidates it compared. A rule that looked at test images calls itself ORACLE there, and so does
everything that shows numbers chosen by it.
"""

from collections.abc import Iterable

NONE = "none"
ORACLE = "ORACLE"
AND = ", and "  # between those of settings that were chosen more than once


def is_oracle(selection: str) -> bool:
    """Whether test images have chosen."""
    return ORACLE in selection


def in_short(selections: Iterable[str]) -> str:
    """Those of several trials for a header: "none", or "ORACLE or known_accuracy or none".

    Settings that the spec names and a search has chosen, too, count as both.
    """
    there = {part for each in selections for part in each.split(AND)}
    rules = {ORACLE if is_oracle(each) else each.partition(" (")[0] for each in there - {NONE}}
    unsearched = [NONE] if NONE in there or not there else []
    return " or ".join([*sorted(rules, key=lambda rule: (rule != ORACLE, rule)), *unsearched])


def by_row(selections: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """A line for each searched row, of rows with their selections; none where nobody searched."""
    chosen = dict.fromkeys(selections)
    searched = [(row, selection) for row, selection in chosen if selection != NONE]
    lines = [f"selection of {row}: {selection}" for row, selection in searched]
    if lines and len(searched) < len(chosen):
        lines.append(f"selection of every other row: {NONE}")
    return tuple(lines)
