"""Scores of test images that were made elsewhere: a Parquet file, row by row against the test set.

    image_id       string   "cifar10/test/123": dataset, subset, position in the reader's order
    label          int      position among the sorted known classes, -1 for unknown
    unknown_score  float    larger = more unknown
    logits         floats   one per known class, larger = more that class
    predicted      int      may be left out: where the logits are largest

Rows may stand in any order.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from osr_core.context import Context, Result, ScoreContext
from osr_core.data import reader
from osr_core.data.base import UNKNOWN
from osr_core.data.tasks import TestSet
from osr_core.errors import DataError
from osr_core.metrics import auroc
from osr_core.scoring import evaluated
from osr_core.weights_import import FILE
from osr_core.wording import percent

TABLE = "scores"  # how the file is called in its role; what it holds is told with its rows
COLUMNS = {
    "image_id": pa.string(),
    "label": pa.int64(),
    "unknown_score": pa.float32(),
    "logits": pa.list_(pa.float32()),
}
PREDICTED = "predicted"
MOVED = 1e-4  # of AUROC: a hundredth of a percent, a tenth of what tables show
MOST = 5  # faults of one file in an error


def import_scores(context: Context, config: Mapping[str, Any]) -> Result:
    """Leave what `score` leaves but for what only a network can tell.

    Raises:
        DataError: a file that is not at hand, or not about exactly these images; says the rows.
    """
    if not isinstance(context, ScoreContext):
        raise TypeError("scores.import needs a ScoreContext; run it through run_stage")
    if FILE not in context.inputs:
        raise DataError(
            f"imported scores (sha256 {config['file'][:12]}...) are no longer in the store. "
            "Import their file again: osr import scores."
        )
    known = config["test"]["known"]
    seen = {"image_size": reader(config["test"]["known_from"]).image_size, "channels": 3}
    test = context.test({**config, "backbone": seen})
    table = read_scores(context.inputs[FILE][TABLE], len(known))
    order = positions(table, test)
    check_rows(table, test.labels.numpy()[order], len(known))
    place = torch.from_numpy(np.argsort(order))
    logits = logits_of(table)[place]
    score = torch.from_numpy(table["unknown_score"].to_numpy().copy())[place]
    predicted = logits.argmax(1)
    if PREDICTED in table.column_names:
        predicted = torch.from_numpy(table[PREDICTED].to_numpy().copy())[place]
    return Result(*evaluated(test, config["test"], logits, predicted, score))


def read_scores(content: bytes, num_known: int) -> pa.Table:
    """The columns of a file, of the types in COLUMNS; every value is there and finite.

    Raises:
        DataError: no Parquet, no rows, a column that is missing, there twice or of another type, a
            gap, a number that is not finite, not as many logits as `num_known`, numbers that are
            told apart only by more than float32.
    """
    try:
        table = pq.ParquetFile(pa.BufferReader(content)).read()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"the scores are no Parquet file: {error}") from error
    wanted = COLUMNS | ({PREDICTED: pa.int64()} if PREDICTED in table.column_names else {})
    if missing := [name for name in wanted if name not in table.column_names]:
        there = ", ".join(table.column_names)
        raise DataError(f"the scores have no column {', '.join(missing)}. There is: {there}.")
    if twice := [name for name in wanted if table.column_names.count(name) > 1]:
        raise DataError(f"the scores have the column {', '.join(twice)} more than once.")
    if not table.num_rows:
        raise DataError("the scores have no rows; there is one for each test image of the split.")
    columns = {}
    for name, kind in wanted.items():
        try:
            columns[name] = table[name].cast(kind).combine_chunks()
        except pa.ArrowException as error:
            raise DataError(
                f"the column {name} is of type {table[name].type}, and must be {kind}: {error}"
            ) from error
        if gaps := np.flatnonzero(columns[name].is_null().to_numpy(zero_copy_only=False)).tolist():
            raise DataError(f"{name} is empty in {rows_of(gaps)}.")
    found = pa.table(columns)
    lengths = np.diff(found["logits"].combine_chunks().offsets.to_numpy())
    if wrong := np.flatnonzero(lengths != num_known).tolist():
        raise DataError(
            f"{rows_of(wrong)}: {lengths[wrong[0]]} logits, and the split has {num_known} known "
            "classes; there is one for each."
        )
    logits = logits_of(found).numpy()
    for name, numbers in (("unknown_score", found["unknown_score"].to_numpy()), ("logits", logits)):
        finite = np.isfinite(numbers).reshape(len(found), -1).all(1)
        if lost := np.flatnonzero(~finite).tolist():
            raise DataError(f"{name} is no finite number in {rows_of(lost)}.")
    refuse_merged(table, found)
    return found


def refuse_merged(given: pa.Table, kept: pa.Table) -> None:
    """Refuse numbers that mean something else as float32, since ties are ranked otherwise.

    Of many thousand scores a few meet by chance, which nobody sees in a table.

    Args:
        given: the columns as the file has them, N rows.
        kept: the same as float32.

    Raises:
        DataError: scores whose AUROC moves by more than MOVED, or the largest logits of a row that
            has no prediction.
    """
    before, after = given["unknown_score"].cast(pa.float64()), kept["unknown_score"]
    labels = np.where(kept["label"].to_numpy() == UNKNOWN, UNKNOWN, 0)
    if len(set(labels.tolist())) == 2:
        exact, rounded = (auroc(each.to_numpy(), labels) for each in (before, after))
        if abs(exact - rounded) > MOVED:
            raise DataError(
                f"unknown_score gives an AUROC of {percent(exact, 3)} %, and {percent(rounded, 3)} "
                "% as float32, in which scores are kept: too many lie too close together. Write "
                "scores that lie further apart, such as log(1 - p) for confidences p, or, where "
                "such ties are meant, the column as float32."
            )
    if PREDICTED in given.column_names:
        return
    wide = pa.table({"logits": given["logits"].cast(pa.list_(pa.float64()))})
    largest = [_num_largest(logits_of(each)) for each in (wide, kept)]
    if rows := (largest[0] != largest[1]).nonzero().flatten().tolist():
        raise DataError(
            f"{rows_of(rows)}: the largest logits differ, and are the same as float32, in which "
            f"they are kept. Say which class is meant in a column {PREDICTED}."
        )


def _num_largest(logits: Tensor) -> Tensor:
    """(N,) how many of a row's logits (N, K) are its largest."""
    return (logits == logits.amax(1, keepdim=True)).sum(1)


def logits_of(table: pa.Table) -> Tensor:
    """(N, K) as the column has them, in the order of the rows."""
    column = table["logits"].combine_chunks()
    values = column.flatten().to_numpy(zero_copy_only=False)
    if column.null_count or not len(values):
        return torch.empty(len(table), 0)
    return torch.from_numpy(values.reshape(len(table), -1).copy())


def positions(table: pa.Table, test: TestSet) -> np.ndarray[Any, Any]:
    """(N,) the position in the test set of each row's image.

    Raises:
        DataError: an image that is not of the test set, one that is there twice, or too few.
    """
    place = {image: position for position, image in enumerate(test.image_ids)}
    ids = table["image_id"].to_pylist()
    if foreign := [row for row, image in enumerate(ids) if image not in place]:
        raise DataError(
            f"{rows_of(foreign)}: '{ids[foreign[0]]}' is no test image of this split. They are "
            f"called like '{test.image_ids[0]}': dataset, subset, position."
        )
    first: dict[str, int] = {}
    twice = [row for row, image in enumerate(ids) if first.setdefault(image, row) != row]
    if twice:
        raise DataError(f"{rows_of(twice)}: '{ids[twice[0]]}' stands there twice.")
    if len(ids) != len(place):
        absent = next(image for image in test.image_ids if image not in first)
        raise DataError(
            f"the file has {len(ids)} rows and the split {len(place)} test images; '{absent}' is "
            "not among them. Every image counts once."
        )
    return np.array([place[image] for image in ids])


def check_rows(table: pa.Table, labels: np.ndarray[Any, Any], num_known: int) -> None:
    """Compare each row with the `labels` (N,) of its image, and with its own logits.

    Raises:
        DataError: all kinds of faults, each with its rows.
    """
    if problems := list(_faults(table, labels, num_known)):
        raise DataError("\n".join(problems))


def _faults(table: pa.Table, labels: np.ndarray[Any, Any], num_known: int) -> Iterator[str]:
    told = table["label"].to_numpy()
    strange = ((told < 0) | (told >= num_known)) & (told != UNKNOWN)
    if rows := np.flatnonzero(strange).tolist():
        yield (
            f"{rows_of(rows)}: label {told[rows[0]]} is none of the known classes (0 to "
            f"{num_known - 1}, in the order of their numbers) and not {UNKNOWN}, which is unknown."
        )
    if rows := np.flatnonzero((told != labels) & ~strange).tolist():
        yield f"{rows_of(rows)}: label {told[rows[0]]}, and the image has {labels[rows[0]]} here."
    if PREDICTED in table.column_names:
        given, logits = table[PREDICTED].to_numpy(), logits_of(table).numpy()
        inside = (given >= 0) & (given < num_known)
        chosen = logits[np.arange(len(given)), np.where(inside, given, 0)]
        if rows := np.flatnonzero(~inside | (chosen < logits.max(1))).tolist():
            yield (
                f"{rows_of(rows)}: predicted {given[rows[0]]}, and the largest logit is that of "
                f"{logits[rows[0]].argmax()}."
            )


def rows_of(rows: list[int]) -> str:
    """Rows counted from 1: "row 3", "rows 3, 4, 5, 6, 7 and 2 more"."""
    shown = ", ".join(str(row + 1) for row in rows[:MOST])
    more = f" and {len(rows) - MOST} more" if len(rows) > MOST else ""
    return f"row{'s' * (len(rows) > 1)} {shown}{more}"
