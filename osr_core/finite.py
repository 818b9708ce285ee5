"""What a stage takes and leaves is finite: no infinity, and nothing that is no number.

The last step of a fit may lose what each loss before it had. Nothing that is kept may be infinite;
where a table has no value, it has a null. A stage would lose the same again, so it is not repeated.
"""

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from torch import Tensor

from osr_core.context import Result
from osr_core.errors import TrainingError
from osr_core.tensors import from_bytes


def refuse_lost(tensors: Mapping[str, Tensor], when: str, lr: float) -> None:
    """Insist on numbers in a trained network, by which a stage goes on to compute.

    Raises:
        TrainingError: a tensor holds an infinity or something that is no number.
    """
    if lost := lost_among(tensors):
        raise TrainingError(
            f"{lost}, are no longer finite numbers {when}. Lower the learning rate (lr={lr:g})."
        )


def refuse_lost_inputs(inputs: Mapping[str, Mapping[str, bytes]]) -> None:
    """Insist on numbers in what stages upstream left.

    Raises:
        TrainingError: what one of them left is lost, and all that would rest on it.
    """
    for role, artifacts in inputs.items():
        if lost := "; ".join(lost_in(artifacts)):
            raise TrainingError(
                f"what '{role}' left is lost: {lost} are not finite numbers. Train it with a lower "
                "learning rate."
            )


def refuse_lost_result(kind: str, config: Mapping[str, Any], result: Result) -> None:
    """Insist on numbers in all that a stage is about to leave.

    Raises:
        TrainingError: some of it is lost.
    """
    metrics = [name for name, value in result.metrics.items() if not isfinite(value)]
    if lost := "; ".join([*lost_in(result.artifacts), *metrics]):
        method = config.get("method", {}).get("name", "")
        lr = config.get("training", {}).get("lr")
        advice = (
            f"Lower the learning rate (lr={lr:g})."
            if lr
            else (
                "What it rests on is finite, and so large that products are not: train that with a "
                "lower learning rate."
            )
        )
        raise TrainingError(
            f"{kind} of {method} came to values that are not finite numbers: {lost}. {advice}"
        )


def lost_in(artifacts: Mapping[str, bytes]) -> Iterator[str]:
    """Which artifacts hold an infinity or something that is no number, and where."""
    for name, content in artifacts.items():
        if name.endswith(".safetensors"):
            if lost := lost_among(from_bytes(content)[0]):
                yield f"{lost} ({name})"
        elif name.endswith(".parquet"):
            table = pq.ParquetFile(pa.BufferReader(content)).read().flatten()
            for column in table.column_names:
                if num := num_lost(table[column]):
                    yield f"{num} values of the column {column} ({name})"


def lost_among(tensors: Mapping[str, Tensor]) -> str:
    """Which tensors are not finite throughout: "2 of 5 tensors, such as head.weight"."""
    lost = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
    return f"{len(lost)} of {len(tensors)} tensors, such as {lost[0]}" if lost else ""


def num_lost(column: pa.ChunkedArray) -> int:
    """How many values of a column, or of lists in it, are not finite; a null is a gap."""
    lists = (pa.ListType, pa.LargeListType, pa.FixedSizeListType)
    while isinstance(column.type, lists):
        column = pc.list_flatten(column)
    if not pa.types.is_floating(column.type):
        return 0
    return int(pc.sum(pc.invert(pc.is_finite(column))).as_py() or 0)
