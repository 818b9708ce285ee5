"""How settings, amounts and times are written for people."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from osr_core.identity import canonical_json

DIGITS = 4  # significant ones
AMOUNTS = {1e6: " million", 1e9: " billion", 1e12: " trillion"}
OPERATIONS = {1e6: " MFLOP", 1e9: " GFLOP", 1e12: " TFLOP", 1e15: " PFLOP", 1e18: " EFLOP"}


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


def amount(number: float) -> str:
    """How many there are: "12,850", "396 million", "3.22 billion"."""
    return _in_units(number, AMOUNTS)


def operations(flops: float) -> str:
    """Floating point operations: "192 TFLOP", "24.4 EFLOP"."""
    return _in_units(flops, OPERATIONS)


def _in_units(number: float, units: Mapping[float, str]) -> str:
    """Three digits and the largest unit that fits; below the smallest unit, as it is."""
    rounded = float(f"{number:.3g}")
    size = max((each for each in units if each <= rounded), default=None)
    return f"{number:,.0f}" if size is None else f"{rounded / size:,.10g}{units[size]}"


def duration(seconds: float) -> str:
    """Seconds for people: "0.25 s", "45 s", "3 min 20 s", "2 h 5 min"."""
    if seconds < 9.5:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def of_hours(hours: float) -> str:
    """Hours for people, as `duration`."""
    return duration(3600 * hours)


def percent(fraction: float | None, decimals: int = 1) -> str:
    """A fraction for a cell of a table; "-" for none."""
    return "-" if fraction is None else f"{100 * fraction:.{decimals}f}"


def origin(imported: Mapping[str, Any]) -> str:
    """Whence an import comes, by its facts: "weights of a.pth (sha256 3f9a...) from ..."."""
    told = f"{imported['what']} of {imported['file']} (sha256 {imported['sha256'][:16]}...)"
    told += f" from {imported['source']}" if imported["source"] else ", nobody said from where"
    told += f", licence {imported['licence'] or 'not told'}"
    if shown := imported["normalization"]:
        told += f", normalised by mean {shown['mean']} and std {shown['std']}"
    return told + (f", anchors {imported['anchors']}" if imported["anchors"] else "")
