"""What a stage asks of its machine while it runs.

It is sampled in a thread of the worker and kept beside the stage's result, so that MLflow's
"System metrics" can be drawn again at any time; no table reads it. A long stage keeps no more rows
than a short one: when there are too many, every second goes, and from then on half as many are
taken.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from statistics import fmean

import psutil
import pyarrow as pa
import torch

from osr_core.machine import MEGABYTE
from osr_core.tables import table_to_bytes

MACHINE = "machine.parquet"
EVERY_S = 2.0  # at first
MOST_ROWS = 256
BUSY = "gpu_{}_utilization_percentage"

log = logging.getLogger(__name__)


class Samples:
    """Rows {"at": seconds since 1970, name: value}, under MLflow's names of system metrics."""

    def __init__(self, every_s: float) -> None:
        self.every_s = every_s
        self.rows: list[dict[str, float]] = []
        self._process = psutil.Process()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="machine", daemon=True)

    def artifacts(self) -> dict[str, bytes]:
        """What is kept: nothing of a stage that ended before the first sample."""
        if not self.rows:
            return {}
        names = dict.fromkeys(name for row in self.rows for name in row)
        columns = {name: [row.get(name) for row in self.rows] for name in names}
        return {MACHINE: table_to_bytes(pa.table(columns))}

    @property
    def gpu_busy(self) -> float | None:
        """In which part of the time the first GPU worked, by the mean; None: nobody has told."""
        told = [row[name] for row in self.rows if (name := BUSY.format(0)) in row]
        return fmean(told) / 100 if told else None

    def start(self) -> None:
        """Sample from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Sample no more; waits for the thread, which wakes at once."""
        self._ended.set()
        self._thread.join()

    def add(self, row: dict[str, float]) -> None:
        """Keep a row; at most MOST_ROWS are kept, evenly spread over the stage."""
        self.rows.append(row)
        if len(self.rows) > MOST_ROWS:
            self.rows = self.rows[::2]
            self.every_s *= 2

    def _loop(self) -> None:
        try:
            self._read()  # what is used per cent is measured from the last reading on
            while not self._ended.wait(self.every_s):
                self.add(self._read())
        except Exception as error:  # a stage must not fail because its machine cannot be watched
            log.warning("system metrics: %s", error)

    def _read(self) -> dict[str, float]:
        memory, process = psutil.virtual_memory(), self._process
        return {
            "at": time.time(),
            "cpu_utilization_percentage": psutil.cpu_percent(),
            "system_memory_usage_megabytes": memory.used / MEGABYTE,
            "system_memory_usage_percentage": memory.percent,
            "process_cpu_utilization_percentage": process.cpu_percent(),  # 100 is one core
            "process_memory_usage_megabytes": process.memory_info().rss / MEGABYTE,
            **_read_gpus(),
        }


@contextmanager
def sampled() -> Iterator[Samples]:
    """Samples of the machine while a block runs."""
    samples = Samples(EVERY_S)
    samples.start()
    try:
        yield samples
    finally:
        samples.stop()


def _read_gpus() -> dict[str, float]:
    """Of the GPUs given to this process; nothing before it uses one, so that none is woken."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return {}
    found: dict[str, float] = {}
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        found[f"gpu_{index}_memory_usage_megabytes"] = (total - free) / MEGABYTE
        found[f"gpu_{index}_memory_usage_percentage"] = 100 * (total - free) / total
        with suppress(Exception):  # not every driver and partition tells its utilisation
            found[BUSY.format(index)] = float(torch.cuda.utilization(index))
    return found
