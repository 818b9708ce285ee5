"""What of this machine our processes may use.

The machine's own figures mislead where `taskset`, a batch system or a container allots less of it.
"""

import os
import resource
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

MEGABYTE = 1_000_000
MOST_FILES = 65_536  # open at once; Ray's processes hold hundreds for each worker
STORE_SHARE, STORE_MOST, STORE_LEAST = 0.3, 2000 * MEGABYTE, 80 * MEGABYTE  # of Ray's objects
SCHEDULERS = {  # by the variable with a job's cores on its machine, one that only jobs have
    "SLURM_CPUS_ON_NODE": "SLURM_JOB_ID",
    "NCPUS": "PBS_JOBID",
    "NSLOTS": "SGE_TASK_ID",
    "LSB_DJOB_NUMPROC": "LSB_JOBID",
}


@dataclass(frozen=True)
class Allotment:
    """What a user gives a launch of this machine; None leaves it to what is allotted."""

    cpus: int | None = None  # cores for all stages together
    gpus: int | None = None


ALL_OF_IT = Allotment()


@dataclass(frozen=True)
class LocalMachine:
    """Where a process is told what it may use; other than here in tests."""

    root: Path = Path("/")
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def cpus(self) -> int:
        """Cores: those that the process may run on, and no more than its quota and its job have."""
        cores = [float(len(os.sched_getaffinity(0)))] if hasattr(os, "sched_getaffinity") else []
        cores += [float(os.cpu_count() or 1), *self._quotas()]
        for name, job in SCHEDULERS.items():
            if job in self.environment and self.environment.get(name, "").isdecimal():
                cores.append(float(self.environment[name]))
        return max(1, int(min(cores)))

    def memory(self) -> int:
        """Bytes, of the machine or of the group of processes."""
        limits = [psutil.virtual_memory().total]
        for folder, is_second in self._groups("memory"):
            text = _read(folder / ("memory.max" if is_second else "memory.limit_in_bytes"))
            limits += [int(text)] if text.isdigit() else []
        return min(limits)

    def object_store(self) -> int:
        """Bytes for what Ray's processes share, which here is little: a share of the memory, and
        what fits into the shared memory.
        """
        shared = self.root / "dev/shm"
        room = shutil.disk_usage(shared).free if shared.is_dir() else STORE_MOST
        wanted = min(int(STORE_SHARE * self.memory()), int(0.9 * room), STORE_MOST)
        return max(wanted, STORE_LEAST)

    def _quotas(self) -> Iterator[float]:
        """Cores that groups of processes may use on average."""
        for folder, is_second in self._groups("cpu"):
            if is_second:
                words = _read(folder / "cpu.max").split()
            else:
                names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
                words = [_read(folder / name) for name in names]
            if len(words) == 2 and all(word.isdigit() for word in words) and int(words[1]):
                yield int(words[0]) / int(words[1])

    def _groups(self, controller: str) -> Iterator[tuple[Path, bool]]:
        """Folders of the groups that the process is in, inner and outer, and whether they are of
        the second version of Linux's control groups.
        """
        mounted = self.root / "sys/fs/cgroup"
        for line in _read(self.root / "proc/self/cgroup").splitlines():
            _, _, rest = line.partition(":")
            controllers, _, path = rest.partition(":")
            if not path or (controllers and controller not in controllers.split(",")):
                continue
            # Where a kernel names several in another order than its folder, a link has the one.
            both, one = mounted / controllers, mounted / controller
            base = one if controllers and not both.is_dir() else both
            inner = base / path.lstrip("/")
            for folder in (inner, *inner.parents):
                if folder.is_relative_to(base):
                    yield folder, not controllers


def _read(path: Path) -> str:
    """A file of the kernel's; empty where there is none."""
    try:
        return os.fsdecode(path.read_bytes()).strip()  # names of groups are any bytes
    except OSError:
        return ""


def allow_many_files() -> None:
    """Let this process, and those that it starts, open as many files as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
