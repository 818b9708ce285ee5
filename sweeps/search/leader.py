"""Who leads a search, from what is said of it. Nothing here needs Optuna."""

from collections.abc import Mapping
from typing import Any

from osr_core.wording import Shortened, in_words, percent
from sweeps.search.candidate import State, average

Facts = Mapping[str, Any]


def leader(facts: Facts) -> Facts | None:
    """The complete candidate with the best average by the rule that chooses; of equal ones the
    earlier.
    """
    complete = [each for each in facts["candidates"] if each["state"] == State.COMPLETE]
    return max(complete, key=lambda each: (_mean(facts, each), -each["number"]), default=None)


def best_so_far(facts: Facts) -> str | None:
    """For people: "search cac digits: best so far 91.23 % by oracle_auroc, candidate 5 (alpha=2)".

    None before any candidate is complete.
    """
    if (best := leader(facts)) is None:
        return None
    short = Shortened(())
    settings = in_words({name: short(value) for name, value in best["params"].items()})
    value = f"{percent(_mean(facts, best), 2)} % by {facts['select']}"
    about = f"search {facts['method']} {facts['dataset']}"
    return f"{about}: best so far {value}, candidate {best['number']} ({settings})"


def _mean(facts: Facts, candidate: Facts) -> float:
    return average(candidate["values"][facts["select"]])
