"""The time that is left, as people read it."""

from typing import NamedTuple, Self

from osr_core.wording import duration


class Eta(NamedTuple):
    """Seconds that are left."""

    seconds: float
    at_least: float
    at_most: float

    def after(self, seconds: float) -> Self:
        """The same some time later."""
        return type(self)(*(max(0.0, each - seconds) for each in self))

    def __str__(self) -> str:
        low, high = duration(self.at_least), duration(self.at_most)
        return duration(self.seconds) + (f" ({low} to {high})" if low != high else "")
