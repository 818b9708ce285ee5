"""What a stage takes and leaves is finite: no infinity, and nothing that is no number.

The last step of a fit may lose what each loss before it had. Nothing that is kept may be infinite;
where a table has no value, it has a null. A stage would lose the same again, so it is not repeated.
"""

from collections import Counter
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
            table = pq.ParquetFile(pa.BufferReader(content)).read()
            found: Counter[str] = Counter()
            for column in table.column_names:
                for chunk in table[column].chunks:
                    found.update(num_lost(column, chunk))
            for place, num in found.items():
                yield f"{num} value{'s' * (num > 1)} of the column {place} ({name})"


def lost_among(tensors: Mapping[str, Tensor]) -> str:
    """Which tensors are not finite throughout: "2 of 5 tensors, such as head.weight"."""
    lost = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
    return f"{len(lost)} of {len(tensors)} tensors, such as {lost[0]}" if lost else ""


def num_lost(name: str, column: pa.Array) -> dict[str, int]:
    """Where in a column, and in what is nested there, values are not finite, and how many.

    A null is a gap.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        return num_lost(name, column.dictionary_decode())
    if pa.types.is_struct(kind):  # flatten: where the struct is null, so are its fields
        inner = zip(kind, column.flatten(), strict=True)
        fields = [num_lost(f"{name}.{field.name}", values) for field, values in inner]
        return {place: num for each in fields for place, num in each.items()}
    if pa.types.is_map(kind):
        return num_lost(name, column.items)
    if pa.types.is_nested(kind):
        return num_lost(name, pc.list_flatten(column))
    if not pa.types.is_floating(kind):
        return {}
    num = int(pc.sum(pc.invert(pc.is_finite(column))).as_py() or 0)
    return {name: num} if num else {}
