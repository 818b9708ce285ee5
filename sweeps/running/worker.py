"""One stage, from the store to the store: what a worker does, with or without Ray."""

import os
import socket
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from osr_core.context import TENSORS, Context
from osr_core.errors import OsrError, VersionError
from osr_core.execution import check_code, known_kind, run_stage
from osr_core.kinds import epochs_of
from osr_core.machine import forget_peak, machine_facts
from osr_core.source import source_of
from sweeps.running.checkpoint import StoreCheckpoint
from sweeps.running.data_here import LacksDataError, needs_of, root_with
from sweeps.running.machine import sampled
from sweeps.running.outcome import Cause, Outcome, Stopped
from sweeps.running.stage_log import StageLog
from sweeps.running.workplace import Workplace
from sweeps.store.files import DamagedError, StoreError, UnreachableError
from sweeps.store.leases import ElsewhereError, FencedError
from sweeps.store.store import Store

# What code, or the values that it computes with, make a stage raise: it would raise it again.
BY_VALUES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    NotImplementedError,
    SyntaxError,
    TypeError,
    ValueError,
    torch.linalg.LinAlgError,  # type: ignore[attr-defined]
)

Identities = Mapping[str, Mapping[str, Any]]  # stage.identity by stage id, of the whole plan


class NoGpuError(OsrError):
    """This process was given a GPU and cannot use it."""


def work(stage_id: str, identities: Identities, workplace: Workplace) -> Outcome:
    """Run a stage and commit it. What the stage raises is told, not passed on."""
    started_at = time.monotonic()

    def outcome(cause: Cause, error: BaseException | None = None) -> Outcome:
        known = isinstance(error, OsrError)
        reason = str(error) if known else f"{type(error).__name__}: {error}" if error else cause
        return Outcome(
            stage_id=stage_id,
            wall_s=time.monotonic() - started_at,
            cause=cause,
            reason=reason,
            traceback=traceback.format_exc() if error else None,
            fault=fault_of(error) if cause in (Cause.ERROR, Cause.REFUSED) else None,
        )

    torch.set_num_threads(workplace.cpus)
    try:
        machine = make(stage_id, identities, workplace, Store(workplace.store, of=workplace.fence))
    except Stopped as stopped:
        return outcome(stopped.cause)
    except FencedError as error:
        return outcome(Cause.TAKEN_OVER, error)
    except (ElsewhereError, NoGpuError, VersionError) as error:
        return outcome(Cause.UNFIT, error)
    except LacksDataError as error:
        return outcome(Cause.LACKS_DATA, error)
    except UnreachableError as error:
        return outcome(Cause.UNREACHABLE, error)
    except StoreError as error:
        return outcome(Cause.ERROR, error)
    except OsrError as error:
        return outcome(Cause.REFUSED, error)
    except Exception as error:  # a stage may fail in any way; the others go on
        if is_out_of_memory(error):
            return outcome(Cause.OUT_OF_MEMORY, error)
        if isinstance(error, torch.AcceleratorError):
            raise  # CUDA is broken for this whole process: it must not get another stage
        return outcome(Cause.REFUSED if isinstance(error, BY_VALUES) else Cause.ERROR, error)
    return Outcome(stage_id=stage_id, wall_s=time.monotonic() - started_at, machine=machine)


def fault_of(error: BaseException | None) -> str | None:
    """What code raised, and where; None for what a stage says by itself, a disk or a server."""
    if error is None or isinstance(error, OsrError | OSError):
        return None
    *_, place = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} in {Path(place.filename).name}:{place.lineno}"


def device_of(workplace: Workplace) -> torch.device:
    """Where a stage computes; what was meant for a GPU never runs on the CPU instead.

    Raises:
        NoGpuError: torch cannot use the GPU that was given.
    """
    if workplace.gpus and not torch.cuda.is_available():
        raise NoGpuError(
            f"{socket.gethostname()} has given {workplace.gpus:g} GPU to a stage, and torch "
            f"{torch.__version__} sees none there. Install torch for CUDA and a driver on it, or "
            "set resources.gpus to 0 in the spec."
        )
    return torch.device("cuda" if workplace.gpus else "cpu")


def is_out_of_memory(error: Exception) -> bool:
    """Whether a GPU is full; torch, CUDA and its libraries each say it in their own way."""
    words = (
        "CUDA out of memory",
        "CUDA error: out of memory",
        "CUBLAS_STATUS_ALLOC_FAILED",
        "CUDNN_STATUS_ALLOC_FAILED",
    )
    is_type = isinstance(error, torch.cuda.OutOfMemoryError)
    return is_type or any(word in str(error) for word in words)


def make(
    stage_id: str, identities: Identities, workplace: Workplace, store: Store
) -> Mapping[str, Any] | None:
    """Commit a stage, damaged inputs before it; what it ran on, or None: it was there already."""
    if store.committed([stage_id]):
        return None
    identity, started_at, began = identities[stage_id], time.time(), time.monotonic()
    host = f"{socket.gethostname()}:{os.getpid()}"
    config = identity["config"]
    num_epochs = epochs_of(config).stop if "training" in config else None
    checkpoint = StoreCheckpoint(store, stage_id, workplace, source_of(identity))
    checkpoint.stop_if_asked(begins=config.get("method", {}).get("name"))
    if trains(identity) and is_claimed(stage_id, workplace, store):
        raise Stopped(Cause.CLAIMED)
    device = device_of(workplace)
    data_root = root_with(needs_of(config), workplace.data_root, workplace.store)
    forget_peak()
    with (
        StageLog(store.attempts, stage_id, num_epochs, started_at=started_at, host=host) as told,
        sampled() as samples,
    ):
        check_code(identity)
        context = Context(
            inputs=read_inputs(identity, identities, workplace, store),
            data_root=data_root,
            device=device,
            checkpoint=checkpoint,
            report=told.report,
            num_processes=num_processes(identity, workplace),
        )
        result = run_stage(identity["kind"], config, context)
    wall_s = time.monotonic() - began
    machine = machine_facts(device, workplace.gpus, wall_s, samples.gpu_busy)
    store.commit(
        stage_id,
        identity,
        {**result.artifacts, **samples.artifacts()},
        result.metrics,
        started_at=started_at,
        wall_s=wall_s,
        host=host,
        code=workplace.code,
        source=checkpoint.source,
        machine=machine,
        epochs_at=told.epochs_at,
        fence=workplace.fence,
    )
    return machine


def num_processes(identity: Mapping[str, Any], workplace: Workplace) -> int:
    """A fit uses each GPU that it is given, by a process of its own."""
    return max(1, int(workplace.gpus)) if trains(identity) else 1


def is_claimed(stage_id: str, workplace: Workplace, store: Store) -> bool:
    """Whether another sweep trains a stage; otherwise this one's claim is left."""
    with suppress(StoreError):  # a claim only saves work
        return bool(workplace.fence and store.claims.take(stage_id, workplace.fence))
    return False


def trains(identity: Mapping[str, Any]) -> bool:
    """Whether a stage is of a kind that trains a network."""
    known = known_kind(identity["kind"], identity["config"])
    return known is not None and known[0].trains


def read_inputs(
    identity: Mapping[str, Any], identities: Identities, workplace: Workplace, store: Store
) -> dict[str, dict[str, bytes]]:
    """The tensors that the stages upstream have left, by role; what is damaged or gone is made
    again. Tables are for people, and each would be a request.
    """
    inputs = {}
    for role, upstream in identity["inputs"].items():
        try:
            inputs[role] = store.read_all(upstream, TENSORS)
        except StoreError as error:
            if isinstance(error, DamagedError):
                store.leases.check(workplace.fence)
                store.set_aside(upstream)
            make(upstream, identities, workplace, store)
            inputs[role] = store.read_all(upstream, TENSORS)
    return inputs
