"""The time that is left, as people read it."""

from typing import NamedTuple, Self

from osr_core.wording import duration

SHORT_S = 5.0  # less than this is not worth a number


class Eta(NamedTuple):
    """Seconds that are left."""

    seconds: float
    at_least: float
    at_most: float

    def after(self, seconds: float) -> Self:
        """The same some time later."""
        return type(self)(*(max(0.0, each - seconds) for each in self))

    def __str__(self) -> str:
        if 0 < self.at_most < SHORT_S:
            return "a few seconds"
        middle = duration(max(1, round(self.seconds)) if self.at_most else 0)
        low, high = duration(round(self.at_least)), duration(round(self.at_most))
        return middle + (f" ({low} to {high})" if low != high else "")
