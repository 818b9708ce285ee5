"""A comparison in words, ready to be rendered."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, fields

from analysis.exports.selection import by_row, in_short
from analysis.tables import sheet
from analysis.tables.aggregate import METRIC_TITLES, ranks
from analysis.tables.comparison import Comparison, Standing
from analysis.tables.render import Printable
from analysis.tables.statistics import RESAMPLES

CSV_COLUMNS = tuple(field.name for field in fields(Standing))


def printable(comparison: Comparison) -> Printable:
    """The comparison for every format."""
    rows = tuple(asdict(standing) for standing in comparison.standings)
    values = {
        "sweeps": comparison.sweeps,
        "protocols": comparison.protocols,
        "commit": comparison.commit,
        "rows": comparison.rows,
        "selections": comparison.selections,
        "lines": rows,
        "left_out": comparison.left_out,
        "mixture": comparison.mixture,
        "other_data": comparison.other_data,
    }
    return Printable(to_sheet(comparison), CSV_COLUMNS, rows, values)


def to_sheet(comparison: Comparison) -> sheet.Sheet:
    """One panel per metric and dataset."""
    groups: dict[tuple[str, str], list[Standing]] = defaultdict(list)
    for one in comparison.standings:
        groups[one.metric, one.dataset].append(one)
    tests = sum(one.p_value is not None for one in comparison.standings)
    single = any(one.num_pairs == 1 for one in comparison.standings)
    legend = (
        f"Percent. Interval: 95 % bootstrap of the mean, {RESAMPLES} resamples of the splits, "
        "seed 0; it generalises over splits drawn like these, not over seeds or test images"
        + ("; of one split there is none." if single else "."),
        f"Difference: {comparison.rows[0]} less the row, with its interval. p: Wilcoxon "
        f"signed-rank over the same splits, two-sided, in brackets Holm-corrected for all {tests} "
        "tests shown.",
        "Rank: mean over splits, 1 best. Five splits alone cannot give p below 1/16.",
        *filter(None, [comparison.mixture, other_data(comparison)]),
    )
    remarks = tuple(f"left out, not there of all rows: {task}" for task in comparison.left_out)
    panels = tuple(
        sheet.Panel(
            f"{metric}-{dataset}".replace(" ", "-"),
            f"{METRIC_TITLES[metric]}, {dataset} (n = {standings[0].num_pairs})",
            ("method", "mean", "interval", "rank", "difference", "p (Holm)"),
            _cells(metric, standings),
            remarks,
            legend,
            by_row(comparison.selections.items()),
        )
        for (metric, dataset), standings in groups.items()
    )
    return sheet.Sheet("compare", "Comparison", provenance(comparison), panels, legend)


def other_data(comparison: Comparison) -> str:
    """That numbers of the same splits are of other images."""
    if not comparison.other_data:
        return ""
    return (
        f"The sweeps had other files of {', '.join(comparison.other_data)}, or read them "
        "otherwise: their numbers are not of the same images."
    )


def provenance(comparison: Comparison) -> str:
    """What the numbers rest on, in one line."""
    sweeps = ", ".join(
        f"{name} ({changes})" if changes else name for name, changes in comparison.sweeps.items()
    )
    protocols = set(comparison.protocols.values())
    several = ", ".join(f"{of} on {dataset}" for dataset, of in comparison.protocols.items())
    protocol = several if len(protocols) > 1 else protocols.pop()
    selection = in_short(comparison.selections.values())
    return (
        f"sweeps {sweeps}, protocol {protocol}, selection {selection}, commit {comparison.commit}"
    )


def _cells(metric: str, standings: Sequence[Standing]) -> tuple[tuple[sheet.Cell, ...], ...]:
    shown = [round(one.mean_percent, 1) for one in standings]
    rows = []
    for one, rank in zip(standings, ranks(shown, metric), strict=True):
        cells = [
            sheet.cell(one.row),
            sheet.cell(f"{one.mean_percent:.1f}", one.mean_percent, rank),
            sheet.cell(_interval(one.low_percent, one.high_percent), one.low_percent),
            sheet.cell(f"{one.average_rank:.2f}", one.average_rank),
        ]
        if one.p_value is None or one.difference_percent is None:
            cells += [sheet.cell("-"), sheet.cell("-")]
        else:
            both = f"{one.p_value:.3f} ({one.p_holm:.3f})"
            difference = round(one.difference_percent, 1) + 0.0  # no -0.0
            interval = _interval(one.difference_low_percent, one.difference_high_percent)
            both_ends = f" [{interval}]" if interval != "-" else ""
            cells.append(sheet.cell(f"{difference:+.1f}{both_ends}", one.difference_percent))
            cells.append(sheet.cell(both, one.p_value))
        rows.append(tuple(cells))
    return tuple(rows)


def _interval(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return "-"
    return f"{round(low, 1) + 0.0:.1f} to {round(high, 1) + 0.0:.1f}"
