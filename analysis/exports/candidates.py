"""candidates.parquet: what a sweep's searches have tried, one row per candidate.

Made of the plan's record alone, in the order of searches and numbers; the metadata say of each
search what it is about. It holds no time and no host: a search that was killed and one that was not
give the same bytes.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.exports.columns import Column
from analysis.exports.parts import written
from analysis.exports.read import path_in, read_columns, readable
from analysis.exports.schema import schema_of
from analysis.exports.searches import Candidate, Search, Step
from osr_core.identity import canonical_json

CANDIDATES = "candidates.parquet"
VALUES = pa.list_(
    pa.field(
        "element",
        pa.struct(
            [
                pa.field("rule", pa.string()),
                pa.field("split", pa.int32()),
                pa.field("seed", pa.int64()),
                pa.field("epoch", pa.int32()),
                pa.field("value", pa.float64()),
            ]
        ),
    )
)
IDS = pa.list_(pa.field("element", pa.string()))
CANDIDATE_COLUMNS = (
    Column("sweep", pa.string(), "", "name of the sweep"),
    Column("search_id", pa.string(), "", "identity of the search, a hash of all that made it"),
    Column("method", pa.string(), "", "key of the method in a spec"),
    Column("dataset", pa.string(), "", "key of the dataset in a spec"),
    Column("number", pa.int32(), "", "of the candidate in its search, counted from 0"),
    Column("params", pa.string(), "canonical JSON", "the settings that were searched"),
    Column("state", pa.string(), "", "complete, pruned, failed, or running"),
    Column("reason", pa.string(), "", "why it was pruned or has failed"),
    Column("rung", pa.int32(), "epochs", "of a fit on whose way it was pruned", optional=True),
    Column(
        "chosen",
        pa.int32(),
        "",
        "0 for the best of those that were trained anew, 1 for the next",
        optional=True,
    ),
    Column("select", pa.string(), "", "the rule that chooses"),
    Column("mean", pa.float64(), "fraction", "average of its values by that rule", optional=True),
    Column(
        "values",
        VALUES,
        "fraction",
        "by rule, split and seed, in the order of the search; at a fit's end, or after an epoch",
    ),
    Column("fits", IDS, "", "identities of the fits that its values rest on, in history.parquet"),
)


def write_candidates(path: Path, sweep: str, searches: Iterable[Search]) -> None:
    """Write the candidates of a sweep's searches."""
    searches = list(searches)
    about = [each.about for each in searches]
    schema = schema_of(CANDIDATE_COLUMNS).with_metadata({"searches": canonical_json(about)})
    rows = [_row(sweep, search, each) for search in searches for each in search.candidates]
    with written(path, schema) as out:
        out.write_table(pa.Table.from_pylist(rows, schema=schema))


def _row(sweep: str, search: Search, candidate: Candidate) -> dict[str, Any]:
    return {
        **{name: getattr(search, name) for name in ("search_id", "method", "dataset", "select")},
        **asdict(candidate),
        "sweep": sweep,
        "params": canonical_json(candidate.params),
        "rung": search.rung(candidate),
        "mean": candidate.mean(search.select),
        "values": [
            {"rule": rule, **step._asdict(), "epoch": epoch, "value": value}
            for (rule, epoch), measure in _measures(search).items()
            for step, value in zip(search.steps, candidate.values.get(measure, ()), strict=False)
        ],
    }


def _measures(search: Search) -> dict[tuple[str, int | None], str]:
    """What is measured, by rule and rung; None is the end of a fit."""
    return {
        (rule, epoch): measure
        for epoch, measured in zip([*search.rungs, None], search.measures, strict=True)
        for rule, measure in zip(search.rules, measured, strict=True)
    }


def read_searches(folder: Path) -> list[Search]:
    """The searches of an exported sweep.

    Raises:
        DataError: the sweep has none.
        UnreadableError: the file is cut short, or was written by something else.
    """
    path = path_in(folder, CANDIDATES)
    with readable(path):
        metadata = pq.read_schema(path).metadata
    rows = read_columns(path, CANDIDATE_COLUMNS).to_pylist()
    return [_search(about, rows) for about in json.loads(metadata[b"searches"])]


def _search(about: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Search:
    steps = tuple(Step(*step) for step in about["steps"])
    search = Search(**{**about, "steps": steps, "candidates": ()})
    own = [row for row in rows if row["search_id"] == search.search_id]
    names = _measures(search)
    return replace(search, candidates=tuple(_candidate(row, names) for row in own))


def _candidate(row: Mapping[str, Any], names: Mapping[tuple[str, int | None], str]) -> Candidate:
    values: dict[str, list[float]] = {}
    for each in row["values"]:
        values.setdefault(names[each["rule"], each["epoch"]], []).append(each["value"])
    return Candidate(
        **{name: row[name] for name in ("number", "state", "reason", "chosen", "fits")},
        params=json.loads(row["params"]),
        values=values,
    )
