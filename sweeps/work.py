"""One stage, from the store to the store: what a worker does, with or without Ray."""

import os
import socket
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from osr_core.errors import OsrError
from osr_core.execution import Context, run_stage
from sweeps.store import Store


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How an attempt at a stage ended."""

    stage_id: str
    wall_s: float
    reason: str | None = None  # why it failed; None where it is committed


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """What a worker is told besides the stage; none of it changes a result."""

    store: str
    data_root: str | None
    cpus: int = 1
    checkpoint_every_s: float = 60.0


class StoreCheckpoint:
    """A fit's checkpoint in the store, due every so many seconds."""

    def __init__(self, store: Store, stage_id: str, every_s: float) -> None:
        self.store, self.stage_id, self.every_s = store, stage_id, every_s
        self.saved_at = time.monotonic()

    def load(self) -> bytes | None:
        """The last state saved, if any."""
        return self.store.load_checkpoint(self.stage_id)

    def due(self) -> bool:
        """Whether `every_s` seconds have passed since the last one."""
        return time.monotonic() - self.saved_at >= self.every_s

    def save(self, content: bytes) -> None:
        """Replace the state."""
        self.store.save_checkpoint(self.stage_id, content)
        self.saved_at = time.monotonic()


def work(stage_id: str, identity: Mapping[str, Any], place: Workplace) -> Outcome:
    """Run a stage and commit it. What the stage raises is recorded, not passed on."""
    started_at = time.time()
    store = Store(place.store)
    try:
        if not store.committed([stage_id]):
            run_and_commit(stage_id, identity, place, store, started_at)
    except Exception as error:  # a stage may fail in any way; the others go on
        reason = str(error) if isinstance(error, OsrError) else f"{type(error).__name__}: {error}"
        store.save_failure(stage_id, reason, traceback.format_exc())
        return Outcome(stage_id=stage_id, wall_s=time.time() - started_at, reason=reason)
    return Outcome(stage_id=stage_id, wall_s=time.time() - started_at)


def run_and_commit(
    stage_id: str,
    identity: Mapping[str, Any],
    place: Workplace,
    store: Store,
    started_at: float,
) -> None:
    """Read the inputs, run, write the result."""
    torch.set_num_threads(place.cpus)
    context = Context(
        inputs={role: store.read_all(upstream) for role, upstream in identity["inputs"].items()},
        data_root=None if place.data_root is None else Path(place.data_root),
        device=torch.device("cuda" if torch.cuda.is_available() else "cpu"),
        checkpoint=StoreCheckpoint(store, stage_id, place.checkpoint_every_s),
        report=lambda epoch, row: None,
    )
    result = run_stage(identity["kind"], identity["config"], context)
    host = f"{socket.gethostname()}:{os.getpid()}"
    store.commit(
        stage_id, identity, result.artifacts, result.metrics, started_at=started_at, host=host
    )
