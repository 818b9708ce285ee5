"""What can go wrong, as one tree.

OsrError
├── ConfigError     a value, name or key that is not allowed; carries all problems found
├── DataError       a data file that is unreadable, truncated, changed or does not fit
│   └── MissingDataError   one that is not there
├── TrainingError   a stage that cannot go on, such as a loss that is not a number
└── VersionError    code of another version than the plan was made with

Each message says what, the value, what is allowed and what to do.
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import ClassVar

MOST_NAMES = 30  # that a sentence lists; of more, MOST_NEAR
MOST_NEAR = 5


class OsrError(Exception):
    """Base of every error raised on purpose here."""

    exit_code: ClassVar[int] = 2  # what a command ends with for it: the request is wrong


class ConfigError(OsrError, ValueError):
    """One or more values that are not allowed; `problems` holds a sentence for each."""

    def __init__(self, problems: Iterable[str] | str) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type["ConfigError"], tuple[list[str]]]:
        return type(self), (self.problems,)


class DataError(OsrError):
    """A data file is missing, unreadable, truncated, or not what a plan or a split asks for."""


class MissingDataError(DataError):
    """A data file is nowhere; a plan can be counted without it."""


class TrainingError(OsrError):
    """A stage cannot go on; the message says at which epoch and why."""


class VersionError(OsrError):
    """This machine's code is of another version than the plan was made with."""


def unknown_name(what: str, name: object, allowed: Iterable[str], *, likeness: float = 0.6) -> str:
    """A sentence for a name that does not exist: the nearest right one, and what exists.

    Near is what `nearest` says.
    """
    names = sorted(allowed)
    near = nearest(name, names, likeness=likeness)
    listed = f"There is: {', '.join(names) or 'none'}."
    if len(names) > MOST_NAMES:
        listed = f"There are {len(names)}, such as: {', '.join(near or names[:MOST_NEAR])}."
    return f"{what} '{name}' does not exist.{did_you_mean(near)} {listed}"


def nearest(name: object, allowed: Iterable[str], *, likeness: float = 0.6) -> list[str]:
    """The right names that are most like a wrong one, best first.

    Case does not count; names that agree less than `likeness`, in [0, 1], are not near.
    """
    by_folded = {each.casefold(): each for each in allowed}
    folded = get_close_matches(str(name).casefold(), by_folded, MOST_NEAR, likeness)
    return [by_folded[each] for each in folded]


def did_you_mean(near: Sequence[str]) -> str:
    """A question after a sentence about a wrong name; empty where none is near."""
    return f" Did you mean '{near[0]}'?" if near else ""
