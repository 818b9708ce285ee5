"""Kinds of stages: what is known of a stage before it runs, besides its config.

The general ones are here, and `osr_core.execution` has the functions that run them. A method that
needs a stage of another kind brings it (`Method.kinds`), with its function.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

HISTORY = "history.parquet"  # of every stage that trains
TAKEN = ("runs.parquet", "links.parquet", "machine.parquet")  # names of other files than a stage's


def one_epoch(config: Mapping[str, Any]) -> float:
    """The effort of a stage that trains nothing: it looks at every image about once."""
    return 1.0


def epochs_of(config: Mapping[str, Any]) -> range:
    """The epochs, counted from 0, that a fit trains: its whole schedule, or a leg of it."""
    return range(*config["leg"]) if "leg" in config else range(config["training"]["epochs"])


def all_epochs(config: Mapping[str, Any]) -> float:
    """The effort of a stage that trains by a schedule."""
    return float(len(epochs_of(config)))


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What stages of a kind have in common.

    Raises:
        ValueError: an artifact in `leaves` that no export can collect under this name.
    """

    name: str  # "fit"; a method's own begins with the method's name: "pmal.mine"
    version: int = 1  # raised by the commit that can move its numbers; old results stay old
    trains: bool = False  # a network: takes a whole GPU, and counts as a fit
    draws: bool = False  # at random by the trial's seed, which its stages' config then has
    leaves: tuple[str, ...] = ()  # artifacts in Parquet that an export collects, one file for each
    effort: Callable[[Mapping[str, Any]], float] = one_epoch  # in epochs, from a stage's config

    def __post_init__(self) -> None:
        for name in self.leaves:
            if not name.endswith(".parquet") or name in TAKEN:
                raise ValueError(
                    f"kind '{self.name}' cannot leave '{name}' to an export: the name must end in "
                    f".parquet and be none of {', '.join(TAKEN)}"
                )

    def __str__(self) -> str:
        return self.name

    def shared_with(self, other: "Kind") -> str:
        """What only one of two kinds may have; empty if they go together."""
        if self.name == other.name:
            return "the name"
        files = (set(self.leaves) & set(other.leaves)) - {HISTORY}
        return f"the table {min(files)}" if files else ""


FIT = Kind(name="fit", version=2, trains=True, leaves=(HISTORY,), effort=all_epochs)
CALIBRATE = Kind(name="calibrate", version=2)
SCORE = Kind(name="score", version=6, leaves=("scores.parquet", "embeddings.parquet"))
VALIDATE = Kind(name="validate", version=2)
NOOP = Kind(name="noop")
IMPORT_WEIGHTS = Kind(name="weights.import")  # in the place of a fit; it leaves no history
IMPORT_SCORES = Kind(name="scores.import", leaves=("scores.parquet",))  # in the place of a score
IMPORTS = (IMPORT_WEIGHTS, IMPORT_SCORES)  # only who has their file can make them again
ALL = (FIT, CALIBRATE, SCORE, VALIDATE, NOOP, *IMPORTS)
GENERAL = {kind.name: kind for kind in ALL}
