"""Stages in a plain process: on the CPU, with no store, no cluster and no checkpoint."""

import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch

from osr_core.execution import Context, Result, run_stage
from osr_core.stage import Stage


class NoCheckpoint:
    """Nothing to go on from, nothing to save to."""

    def load(self) -> bytes | None:
        return None

    def due(self) -> bool:
        return False

    def save(self, content: bytes) -> None: ...

    def between_batches(self) -> None: ...


def context(inputs: Mapping[str, Mapping[str, bytes]], data_root: Path | None = None) -> Context:
    """What a stage may touch."""
    return Context(
        inputs=inputs,
        data_root=data_root,
        device=torch.device("cpu"),
        checkpoint=NoCheckpoint(),
        report=lambda epoch, row: None,
    )


def results(
    stages: Iterable[Stage], data_root: Path | None = None
) -> Iterator[tuple[Stage, Result]]:
    """Each stage with what it leaves; inputs come before the stages that read them."""
    left: dict[str, Mapping[str, bytes]] = {}
    for stage in stages:
        inputs = {role: left[upstream.id] for role, upstream in stage.inputs.items()}
        result = run_stage(stage.kind.name, stage.config, context(inputs, data_root))
        left[stage.id] = result.artifacts
        yield stage, result


def history(content: bytes) -> list[dict[str, Any]]:
    """Rows of a fit's history but for the wall time, which no two runs share."""
    rows = pq.read_table(io.BytesIO(content)).to_pylist()
    return [row for row in rows if row["metric"] != "wall_s"]
