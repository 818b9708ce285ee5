"""Real samples of this machine, bounded however long a stage lasts; what a marker says of it."""

import itertools
import time
from pathlib import Path

import PIL
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy
import torch

from osr_core import machine as made_on
from osr_core.kinds import NOOP
from osr_core.machine import machine_facts
from osr_core.stage import Stage
from sweeps.running import machine
from sweeps.running.machine import MACHINE, MOST_ROWS, Samples, sampled
from sweeps.running.worker import work
from sweeps.running.workplace import Workplace
from sweeps.store.store import Store

VERSIONS = {"torch": torch.__version__, "pillow": PIL.__version__, "scipy": scipy.__version__}


def seen_busy(rows: list[dict[str, float]]) -> bool:
    """Whether there are some rows, and one has a good part of a core."""
    return len(rows) >= 5 and max(row["process_cpu_utilization_percentage"] for row in rows) > 30


def test_a_busy_stage_is_seen_busy(monkeypatch):
    """One core at work, the memory that this process has, times in order."""
    monkeypatch.setattr(machine, "EVERY_S", 0.1)
    begun = time.time()
    with sampled() as samples:
        while not seen_busy(samples.rows):
            pass
    rows = pq.read_table(pa.BufferReader(samples.artifacts()[MACHINE])).to_pylist()
    assert seen_busy(rows)
    assert all(0 <= row["cpu_utilization_percentage"] <= 100 for row in rows)
    resident = psutil.Process().memory_info().rss / 1e6
    assert abs(rows[-1]["process_memory_usage_megabytes"] - resident) < 0.2 * resident
    times = [row["at"] for row in rows]
    assert times == sorted(times)
    assert begun <= times[0] <= times[-1] <= time.time()


def test_a_stage_shorter_than_the_first_sample_keeps_nothing_and_does_not_wait(monkeypatch):
    """Thousands of short stages must stay short."""
    monkeypatch.setattr(machine, "EVERY_S", 1e6)  # this test would not end
    with sampled() as samples:
        pass
    assert samples.artifacts() == {}


def test_a_long_stage_keeps_few_rows_evenly_spread():
    """Rows come at the current interval, as from the clock; the first and a late one are kept."""
    samples, now = Samples(every_s=2.0), 0.0
    while now < 100_000:
        samples.add({"at": now})
        now += samples.every_s
    times = [row["at"] for row in samples.rows]
    steps = {later - earlier for earlier, later in itertools.pairwise(times)}
    assert MOST_ROWS / 2 <= len(times) <= MOST_ROWS
    assert steps == {samples.every_s}
    assert (times[0], times[-1]) == (0.0, now - samples.every_s)


def test_a_machine_that_cannot_be_watched_stops_no_stage(monkeypatch, caplog):
    """The thread says so and ends."""

    def fail() -> None:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "virtual_memory", fail)
    with sampled() as samples:
        samples._thread.join()
    assert samples.artifacts() == {}
    assert "system metrics" in caplog.text


def test_a_marker_says_what_the_stage_ran_on(tmp_path: Path):
    """The numbers of a stage may depend on it, and its cost does."""
    before = torch.get_num_threads()
    place = Workplace(store=str(tmp_path), data_root=None, cpus=2)
    stage = Stage(kind=NOOP, config={})
    outcome = work(stage.id, {stage.id: stage.identity}, place)
    torch.set_num_threads(before)
    told = dict(Store(tmp_path).read_commit(stage.id).machine)
    assert (outcome.cause, outcome.machine) == (None, told)  # the driver hears it, too
    peak = told.pop("peak_memory_megabytes")
    resident = psutil.Process().memory_info().rss / 1e6
    assert 0.5 * resident < peak < 100 * resident
    assert told.pop("hardware")
    assert told.pop("instruction_set") == torch.backends.cpu.get_cpu_capability()
    assert told.pop("threads") == 2
    assert told.pop("versions") == VERSIONS
    assert told == {"device": "cpu", "gpu_s": 0.0}


def pretend_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """24 GB, of which 9 are in use; 6 are held by this process's allocator, 8 were before."""
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H100")
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 3_000_000)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda device: 8_000_000_000)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 6_000_000_000)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (15 * 10**9, 24 * 10**9))


def test_a_gpu_is_named_with_its_versions_and_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Half a GPU for ten seconds is five seconds of a GPU."""
    driver = tmp_path / "version"
    driver.write_text(
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build\n"
        "GCC version:  gcc version 12.3.0 (Ubuntu 12.3.0-1ubuntu1)\n"
    )
    monkeypatch.setattr(made_on, "DRIVER_INFO", driver)
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91002)
    pretend_gpu(monkeypatch)
    made_on._cuda_versions.cache_clear()
    told = machine_facts(torch.device("cuda"), gpus=0.5, wall_s=10.0)
    made_on._cuda_versions.cache_clear()
    assert (told["device"], told["hardware"], told["gpu_s"]) == ("cuda", "NVIDIA H100", 5.0)
    on_gpus = {"cuda": "12.8", "cudnn": "91002", "driver": "570.86.15"}
    assert told["versions"] == VERSIONS | on_gpus
    assert told["peak_gpu_memory_megabytes"] == 3.0


@pytest.mark.parametrize(
    ("gpus", "busy", "context"),
    [(1.0, 0.31, 3000.0), (0.5, 0.31, None), (1.0, None, None)],
    ids=["alone", "shared", "without Ray"],
)
def test_a_marker_says_what_a_fit_holds_of_a_card_and_how_busy_that_was(
    monkeypatch: pytest.MonkeyPatch, gpus: float, busy: float | None, context: float | None
):
    """What others may hold of a card is not known from what is in use."""
    pretend_gpu(monkeypatch)
    told = machine_facts(torch.device("cuda"), gpus, 10.0, busy)
    assert (told["gpus"], told["gpu_busy"]) == (gpus, busy)
    assert told["gpu_reserved_megabytes"] == 8000.0
    assert told["gpu_context_megabytes"] == context
    assert told["gpu_total_megabytes"] == 24_000.0


def test_how_busy_a_gpu_is_is_the_mean_of_what_was_told():
    """A driver may not tell at all, or not while a stage loads its data."""
    samples = Samples(every_s=2.0)
    assert samples.gpu_busy is None
    samples.add({"at": 0.0})
    assert samples.gpu_busy is None
    for at, busy in ((2.0, 20.0), (4.0, 60.0)):
        samples.add({"at": at, "gpu_0_utilization_percentage": busy})
    assert samples.gpu_busy == 0.4


def test_what_a_stage_before_has_left_in_the_cache_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
):
    """It goes back before peaks are measured anew."""
    calls: list[str] = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    for name in ("empty_cache", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.cuda, name, lambda name=name: calls.append(name))
    made_on.forget_peak()
    assert calls == ["empty_cache", "reset_peak_memory_stats"]
