"""How settings and times are written for people."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from osr_core.identity import canonical_json

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


def in_words(settings: Mapping[str, Any]) -> str:
    """Settings as a spec has them: "alpha=5, tuplet=true"."""
    return ", ".join(f"{name}={in_text(value)}" for name, value in settings.items())


def in_text(value: Any) -> str:
    """A setting's value: 5 for 5.0, as a spec has it, words without quotes, all else as JSON."""
    return value if isinstance(value, str) else canonical_json(value).removesuffix(".0")


def duration(seconds: float) -> str:
    """Seconds for people: "45 s", "3 min 20 s", "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def percent(fraction: float | None, decimals: int = 1) -> str:
    """A fraction for a cell of a table; "-" for none."""
    return "-" if fraction is None else f"{100 * fraction:.{decimals}f}"
