"""The Parquet artifacts of the general stages: a fit's history, scores and embeddings."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from osr_core.data.tasks import TestSet

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
        ("class_name", pa.string()),  # the image's own class in its dataset
    ]
)
EMBEDDINGS_SCHEMA = pa.schema(
    [
        ("role", pa.string()),  # image or prototype
        ("label", pa.int32()),  # position among the sorted known classes, or UNKNOWN
        ("embedding", pa.list_(pa.float32())),  # (D,)
    ]
)


def history_table(history: Sequence[Mapping[str, float]], epochs: range) -> pa.Table:
    """One row per epoch (counted from 1) of those asked for (from 0), and metric."""
    rows = [
        {"epoch": epoch + 1, "metric": metric, "value": value}
        for epoch in epochs
        for metric, value in sorted(history[epoch].items())
    ]
    return pa.Table.from_pylist(rows, schema=HISTORY_SCHEMA)


def scores_table(
    test: TestSet, logits: Tensor, predicted: Tensor, unknown_score: Tensor
) -> pa.Table:
    """One row per test image, in order, from (N, K), (N,) and (N,) of them."""
    columns = [
        test.image_ids,
        test.labels.numpy(),
        predicted.numpy(),
        unknown_score.numpy(),
        lists(logits),
        test.class_names,
    ]
    return table_of(columns, SCORES_SCHEMA)


def embeddings_table(label: Tensor, embedding: Tensor, prototypes: Tensor) -> pa.Table:
    """Images with label (n,) and embedding (n, D) in order, then prototypes (K, T, D) by class."""
    num_classes, per_class, dim = prototypes.shape
    of_prototypes = torch.arange(num_classes).repeat_interleave(per_class)
    columns = [
        ["image"] * len(label) + ["prototype"] * len(of_prototypes),
        torch.cat([label, of_prototypes]).numpy(),
        lists(torch.cat([embedding, prototypes.cpu().view(-1, dim)])),
    ]
    return table_of(columns, EMBEDDINGS_SCHEMA)


def lists(rows: Tensor) -> pa.Array:
    """Rows (N, D) float32 as N lists, without a Python number for each."""
    num, length = rows.shape
    offsets = np.arange(num + 1, dtype=np.int32) * length
    return pa.ListArray.from_arrays(offsets, rows.contiguous().view(-1).numpy())


def table_of(columns: Sequence[Any], schema: pa.Schema) -> pa.Table:
    """Columns in the order and of the types of a schema."""
    arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def table_to_bytes(table: pa.Table) -> bytes:
    """Parquet; equal tables give equal bytes."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())
