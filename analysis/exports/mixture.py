"""Whether trials were computed on different things, which no id says and which can move numbers."""

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from analysis.exports.schema import FinishedTrial

IN_WORDS = {"instruction_set": "instruction set"}


def mixture(trials: Iterable[FinishedTrial]) -> str:
    """A sentence on the stages of one kind that were not all made alike; "" where all were.

    Trials that do not say what they were made on take no part.
    """
    found: dict[tuple[str, str], set[Any]] = defaultdict(set)
    for trial in trials:
        for kind, facts in json.loads(trial["made_on"] or "{}").items():
            for name, values in facts.items():
                found[name, kind].update(values)
    kinds: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (name, kind), values in sorted(found.items()):
        if len(values) > 1:
            listed = " and ".join(map(str, sorted(values)))
            kinds[IN_WORDS.get(name, name), listed].append(kind)
    if not kinds:
        return ""
    differing = (f"{name} {listed} ({', '.join(of)})" for (name, listed), of in kinds.items())
    return f"Not computed alike, which alone can move numbers: {'; '.join(differing)}."
