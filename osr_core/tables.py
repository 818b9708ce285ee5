"""The two Parquet artifacts of stages: a fit's history and the scores of test images."""

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq
from torch import Tensor

from osr_core.scoring import Scored

HISTORY_SCHEMA = pa.schema(
    [("epoch", pa.int32()), ("metric", pa.string()), ("value", pa.float64())]
)
SCORES_SCHEMA = pa.schema(
    [
        ("image_id", pa.string()),  # dataset/subset/position
        ("label", pa.int32()),  # position among the sorted known classes, or UNKNOWN
        ("predicted", pa.int32()),
        ("unknown_score", pa.float32()),  # larger = more unknown
        ("logits", pa.list_(pa.float32())),  # (K,)
    ]
)


def history_table(history: Sequence[Mapping[str, float]]) -> pa.Table:
    """One row per epoch (counted from 1) and metric."""
    rows = [
        {"epoch": epoch, "metric": metric, "value": value}
        for epoch, metrics in enumerate(history, start=1)
        for metric, value in sorted(metrics.items())
    ]
    return pa.Table.from_pylist(rows, schema=HISTORY_SCHEMA)


def scores_table(image_ids: Sequence[str], labels: Tensor, scored: Scored) -> pa.Table:
    """One row per test image, in order."""
    columns = [
        image_ids,
        labels.numpy(),
        scored.predicted.numpy(),
        scored.unknown_score.numpy(),
        scored.logits.tolist(),
    ]
    arrays = [
        pa.array(values, field.type) for values, field in zip(columns, SCORES_SCHEMA, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=SCORES_SCHEMA)


def table_to_bytes(table: pa.Table) -> bytes:
    """Parquet; equal tables give equal bytes."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())
