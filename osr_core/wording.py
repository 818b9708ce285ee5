"""How settings are written for people: with no more digits than tell them apart."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

DIGITS = 4  # significant ones


class Shortened:
    """The values of one setting, each as it is shown beside the others."""

    def __init__(self, values: Iterable[Any]) -> None:
        numbers = {value for value in values if _is_number(value)}
        self._seen = Counter(map(_rounded, numbers))

    def __call__(self, value: Any) -> Any:
        """A fraction with at most DIGITS significant digits, unless another value looks like that;
        whole numbers, words and everything else as they are.
        """
        if not isinstance(value, float) or self._seen[_rounded(value)] > 1:
            return value
        return _rounded(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _rounded(value: float) -> float:
    return value if value == int(value) else float(f"{value:.{DIGITS}g}")
