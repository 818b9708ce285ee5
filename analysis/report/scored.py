"""The scores of all trials of an export, one trial after the other, in one pass over the file."""

from collections.abc import Collection, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.exports.read import readable
from analysis.exports.schema import SCORES
from analysis.figures.source import Scores

COLUMNS = ("trial_id", "label", "predicted", "unknown_score", "class_name")


def scored_trials(folder: Path, wanted: Collection[str]) -> Iterator[tuple[str, Scores]]:
    """The test images of the wanted trials by id, without logits and images' ids.

    A file of hundreds of trials is never held in memory: rows of a trial are neighbours there.
    """
    path = folder / SCORES
    if not path.is_file():
        return
    with readable(path):
        file = pq.ParquetFile(path, read_dictionary=["trial_id"])
        columns = [name for name in COLUMNS if name in file.schema_arrow.names]
        begun: list[pa.RecordBatch] = []
        for batch in file.iter_batches(columns=columns):
            for part in _by_trial(batch):
                if begun and _trial_of(begun[0]) != _trial_of(part):
                    yield from _scores(begun, wanted)
                    begun = []
                begun.append(part)
        yield from _scores(begun, wanted)


def _by_trial(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The parts of a batch, one for each trial."""
    codes = batch.column("trial_id").indices.to_numpy()
    starts = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)]
    for start, end in pairwise(starts):
        if end > start:
            yield batch.slice(start, end - start)


def _trial_of(part: pa.RecordBatch) -> str:
    trial_id: str = part.column("trial_id")[0].as_py()
    return trial_id


def _scores(parts: list[pa.RecordBatch], wanted: Collection[str]) -> Iterator[tuple[str, Scores]]:
    if parts and (trial_id := _trial_of(parts[0])) in wanted:
        yield trial_id, Scores.from_table(pa.Table.from_batches(parts))
