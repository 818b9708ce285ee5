"""Line plots and dots as SVG, a few hundred bytes each, coloured by the page's style sheet.

What a colour says, dashes and a legend say too. A plot has 320 x 250 units, which is its size on a
phone; dots have no units of their own and stretch with the page, so that their text never shrinks.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from markupsafe import Markup

WIDTH, HEIGHT = 320, 250
LEFT, RIGHT, TOP, BOTTOM = 40, 310, 10, 212  # of the axes
COLOURS, DASHES = 8, 3  # style sheets have as many


@dataclass(frozen=True)
class Line:
    """One line of a plot, with a band around it or an area below it."""

    name: str
    number: int  # says its colour and dashes
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()  # of the band; () for none
    high: Sequence[float] = ()


def look(number: int) -> str:
    """The classes that give line `number` its colour and dashes."""
    return f"c{number % COLOURS} d{number // COLOURS % DASHES}"


def plot(
    lines: Iterable[Line],
    title: str,
    axes: tuple[str, str],
    *,
    x: tuple[float, float] = (0, 1),
    y: tuple[float, float] = (0, 1),
    marks: Sequence[tuple[float, str]] = (),
) -> Markup:
    """The picture; `title` is read aloud, `axes` are their labels, `marks` vertical lines."""
    parts = [
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
    ]
    parts += _frame(axes, x, y)
    for place, name in marks:
        across = _scaled(place, x, LEFT, RIGHT)
        parts.append(f'<path class="mark" d="M{across} {TOP}V{BOTTOM}"/>')
        kind = "tick" if across > (LEFT + RIGHT) / 2 else "small"  # ends there, or is around it
        parts.append(f'<text class="{kind}" x="{across}" y="{TOP - 2}">{escape(name)}</text>')
    for line in lines:  # all bands lie below all curves, which keep their colours
        if line.low:
            there = _points(line.x, line.high, x, y)
            back = _points(line.x[::-1], line.low[::-1], x, y)
            parts.append(_part(line, f'<path class="band" d="M{there}L{back}Z"/>'))
    for line in lines:
        parts.append(_part(line, f'<path class="curve" d="M{_points(line.x, line.y, x, y)}"/>'))
    return Markup("".join([*parts, "</svg>"]))


def _part(line: Line, path: str) -> str:
    """A path of a line, in its look and under its name."""
    name = escape(line.name)
    return f'<g class="line {look(line.number)}" data-row="{name}"><title>{name}</title>{path}</g>'


def dots(
    values: Sequence[tuple[float, str, bool]],
    low: float,
    high: float,
    interval: tuple[float, float] | None,
    mean: float,
    title: str,
) -> Markup:
    """A strip of dots between two values: (value, what it is, whether it wins) each.

    A bar shows the interval, a tick the mean.
    """

    def across(value: float) -> str:
        share = 0.5 if high == low else (value - low) / (high - low)
        return f"{2 + 96 * share:.1f}%"

    parts = [f'<svg class="dots" role="img" aria-label="{escape(title)}">']
    if interval:
        first, last = map(across, interval)
        parts.append(f'<line class="interval" x1="{first}" x2="{last}" y1="50%" y2="50%"/>')
    parts.append(f'<line class="mean" x1="{across(mean)}" x2="{across(mean)}" y1="2" y2="22"/>')
    for value, name, wins in values:
        parts.append(
            f'<circle cx="{across(value)}" cy="50%" r="5"{" class=wins" * wins}>'
            f"<title>{escape(name)}</title></circle>"
        )
    return Markup("".join([*parts, "</svg>"]))


def ticks(low: float, high: float) -> list[float]:
    """Three to six round numbers from `low` to `high`."""
    span = high - low
    power = 10.0 ** math.floor(math.log10(span / 4))
    step = next(power * of for of in (1, 2, 2.5, 5, 10) if span / (power * of) <= 5)
    first = math.ceil(low / step - 1e-9)
    return [round(step * n, 10) for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _frame(axes: tuple[str, str], x: tuple[float, float], y: tuple[float, float]) -> list[str]:
    parts = []
    for value in ticks(*x):
        across = _scaled(value, x, LEFT, RIGHT)
        parts.append(f'<path class="grid" d="M{across:g} {TOP}V{BOTTOM}"/>')
        parts.append(f'<text class="small" x="{across:g}" y="{BOTTOM + 14}">{value:g}</text>')
    for value in ticks(*y):
        up = _scaled(value, y, BOTTOM, TOP)
        parts.append(f'<path class="grid" d="M{LEFT} {up:g}H{RIGHT}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 4}" y="{up + 4:g}">{value:g}</text>')
    middle = (TOP + BOTTOM) // 2
    parts.append(
        f'<text x="{(LEFT + RIGHT) // 2}" y="{HEIGHT - 6}">{escape(axes[0])}</text>'
        f'<text transform="rotate(-90)" x="{-middle}" y="11">{escape(axes[1])}</text>'
    )
    return parts


def _points(
    xs: Sequence[float], ys: Sequence[float], x: tuple[float, float], y: tuple[float, float]
) -> str:
    return " ".join(
        f"{_scaled(a, x, LEFT, RIGHT):g},{_scaled(b, y, BOTTOM, TOP):g}"
        for a, b in zip(xs, ys, strict=True)
    )


def _scaled(value: float, limits: tuple[float, float], first: float, last: float) -> float:
    low, high = limits
    share = 0.5 if high == low else (value - low) / (high - low)
    return round(first + min(1.0, max(0.0, share)) * (last - first), 1)
