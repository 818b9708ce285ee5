"""Starts the processes that train one network together, and runs one of them.

The first is the process that asks; the others are started by it, are told what to train through a
pipe, and end with it. They exchange gradients by NCCL on GPUs and by gloo on CPUs.
"""

import os
import pickle
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import torch
import torch.distributed as dist

from osr_core.context import Context
from osr_core.data_parallel import ALONE, DataParallel
from osr_core.fit import trained

PATIENCE = timedelta(minutes=30)  # with the first process, which saves states in a far store
CODE = f"""
import pickle, sys
told = pickle.load(sys.stdin.buffer)
sys.path[:] = told["path"]
from {__name__} import run
run(told)
"""
LINES = 20  # of what a process that died has printed


class ProcessDiedError(RuntimeError):
    """One of several processes that train a network has died."""


class Handed:
    """The checkpoint of all processes but the first: what that one goes on from, and no more."""

    def __init__(self, state: bytes | None) -> None:
        self.state = state

    def load(self) -> bytes | None:
        """What the first process has loaded."""
        return self.state

    def due(self) -> bool:
        """Never: the first process saves."""
        return False

    def save(self, content: bytes) -> None:
        """Nothing is saved twice."""

    def between_batches(self) -> None:
        """The first process hears what is asked of the fit."""


@contextmanager
def processes(context: Context, config: Mapping[str, Any]) -> Iterator[DataParallel]:
    """The first of `context.num_processes`; the others run `trained`, too.

    Raises:
        ProcessDiedError: one has died; with the last lines that it has printed.
    """
    if context.num_processes == 1:
        yield ALONE
        return
    with tempfile.TemporaryDirectory() as folder:
        told = _told(context, config, folder)
        others = [
            _start({**told, "rank": rank}, Path(folder)) for rank in range(1, context.num_processes)
        ]
        try:
            with _group(context.device, 0, context.num_processes, Path(folder)) as first:
                yield first
        except RuntimeError as error:
            died = [rank for rank, each in enumerate(others, 1) if _has_died(each)]
            if not died:
                raise
            said = (Path(folder) / f"{died[0]}.log").read_text(errors="replace").splitlines()
            raise ProcessDiedError(
                f"of {context.num_processes} processes that train one network, number "
                f"{died[0]} has died: {' | '.join(said[-LINES:])}"
            ) from error
        finally:
            for each in others:
                with each:  # which closes the pipe, too
                    each.kill()


def _has_died(process: subprocess.Popen[bytes]) -> bool:
    """Whether it was not this process that broke; the system may need a moment to tell."""
    with suppress(subprocess.TimeoutExpired):
        return process.wait(timeout=1) != 0
    return False


def _told(context: Context, config: Mapping[str, Any], folder: str) -> dict[str, Any]:
    """What all other processes are told; a state is loaded once for all."""
    return {
        "path": sys.path,
        "config": dict(config),
        "inputs": {role: dict(files) for role, files in context.inputs.items()},
        "data_root": None if context.data_root is None else str(context.data_root),
        "state": context.checkpoint.load(),
        "device": context.device.type,
        "num_processes": context.num_processes,
        "threads": torch.get_num_threads(),
        "folder": folder,
    }


def _start(told: Mapping[str, Any], folder: Path) -> subprocess.Popen[bytes]:
    """Another process; it ends when its standard input does."""
    with (folder / f"{told['rank']}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", CODE], stdin=subprocess.PIPE, stdout=log, stderr=log
        )
    assert process.stdin is not None
    process.stdin.write(pickle.dumps(told))
    process.stdin.flush()
    return process


def run(told: Mapping[str, Any]) -> NoReturn:
    """All of a process but the first."""
    threading.Thread(target=_end_with_the_first, daemon=True).start()
    torch.set_num_threads(told["threads"])
    device = torch.device(told["device"])
    device = torch.device("cuda", told["rank"]) if device.type == "cuda" else device
    root, folder = told["data_root"], Path(told["folder"])
    context = Context(
        inputs=told["inputs"],
        data_root=None if root is None else Path(root),
        device=device,
        checkpoint=Handed(told["state"]),
        report=lambda epoch, row: None,
        num_processes=told["num_processes"],
    )
    with _group(device, told["rank"], told["num_processes"], folder) as own:
        trained(context, told["config"], own)
    os._exit(0)


def _end_with_the_first() -> None:
    """The pipe is closed when the first process ends, however it does."""
    sys.stdin.buffer.read()
    os._exit(1)


@contextmanager
def _group(
    device: torch.device, rank: int, world_size: int, folder: Path
) -> Iterator[DataParallel]:
    """This process in the process group, which meets in a file."""
    if device.type == "cuda":
        torch.cuda.set_device(device.index or 0)
    else:
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"  # all are on this machine
    dist.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        init_method=f"file://{folder}/meeting",
        rank=rank,
        world_size=world_size,
        timeout=PATIENCE,
    )
    try:
        yield DataParallel(rank, world_size)
    finally:
        dist.destroy_process_group()
