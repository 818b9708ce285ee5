"""Workers are started for what a process may use, not for what its machine has."""

import os
import resource
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from osr_core.errors import ConfigError
from sweeps.running import allotment, cluster, session_folder
from sweeps.running.allotment import Allotment, LocalMachine

GB = 10**9


@pytest.fixture(autouse=True)
def big(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of 64 cores."""
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)


def machine(root: Path, files: Mapping[str, str], **environment: str) -> LocalMachine:
    """One whose kernel says so."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(text + "\n"))
    return LocalMachine(root, environment)


def test_a_machine_without_limits_is_used_whole(tmp_path: Path):
    """As ever."""
    files = {"proc/self/cgroup": "0::/user", "sys/fs/cgroup/user/cpu.max": "max 100000"}
    assert machine(tmp_path, files).cpus() == 64


def test_taskset_is_heeded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`taskset -c 0 osr run`; Slurm and cpusets of containers bind in the same way."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0}, raising=False)
    assert machine(tmp_path, {}).cpus() == 1


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"proc/self/cgroup": "0::/a/b", "sys/fs/cgroup/a/cpu.max": "200000 100000"}, 2),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "350000 100000"}, 3),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "50000 100000"}, 1),
        (
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/docker/3f\n1:name=systemd:/docker/3f",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "400000",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
            },
            4,
        ),
        (
            {
                "proc/self/cgroup": "4:cpu:/",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            64,
        ),
        (
            {
                "proc/self/cgroup": "4:cpuacct,cpu:/docker/3f",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "400000",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            4,
        ),
        ({"proc/self/cgroup": "0::/\udce9", "sys/fs/cgroup/cpu.max": "200000 100000"}, 2),
        ({"proc/self/cgroup": "none", "sys/fs/cgroup/cpu.max": "200000 100000"}, 64),
    ],
    ids=[
        *("outer group", "fraction", "half", "first version", "first version without"),
        *("of old kernels", "no UTF-8", "no group"),
    ],
)
def test_a_containers_quota_is_heeded(tmp_path: Path, files: Mapping[str, str], cores: int):
    """Of the group itself or of one around it; a core that is there in part counts if alone."""
    assert machine(tmp_path, files).cpus() == cores


def test_a_batch_systems_word_is_heeded_within_its_jobs(tmp_path: Path):
    """Where it binds no process to its cores; a shell may have NCPUS for other reasons."""
    assert machine(tmp_path, {}, SLURM_CPUS_ON_NODE="3", SLURM_JOB_ID="7").cpus() == 3
    assert machine(tmp_path, {}, NCPUS="3").cpus() == 64
    assert machine(tmp_path, {}, NCPUS="3", PBS_JOBID="7").cpus() == 3
    for word in ("3(x2)", "²", "-3", ""):
        assert machine(tmp_path, {}, SLURM_CPUS_ON_NODE=word, SLURM_JOB_ID="7").cpus() == 64


def test_the_memory_of_a_group_is_heeded(tmp_path: Path):
    """Ray's shared objects take a share of it, and no more than shared memory has room for."""
    files = {"proc/self/cgroup": "0::/a", "sys/fs/cgroup/a/memory.max": str(GB)}
    small = machine(tmp_path, files)
    assert small.memory() == GB
    assert small.object_store() == 300_000_000
    (tmp_path / "dev/shm").mkdir(parents=True)
    room = type("Usage", (), {"free": 64 * 10**6})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(allotment.shutil, "disk_usage", lambda path: room)
        assert small.object_store() == allotment.STORE_LEAST


@pytest.fixture
def limits() -> Iterator[tuple[int, int]]:
    """Of open files, as they are before and after."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_as_many_files_as_allowed_may_be_open(limits: tuple[int, int]):
    """Many systems begin with 1,024, and Ray fails in its own words with fewer than it needs."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, limits[1]))
    allotment.allow_many_files()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert (soft, hard) == (min(allotment.MOST_FILES, limits[1]), limits[1])


def test_what_a_user_gives_is_what_ray_is_told(monkeypatch: pytest.MonkeyPatch):
    """`osr run --cpus 5 --gpus 0`; of a cluster that runs already it is not ours to say."""
    told: list[dict[str, Any]] = []
    monkeypatch.setattr("ray.init", lambda **settings: told.append(settings))
    cluster.connect(None, Allotment(5, 0))
    cluster.connect(None, Allotment())
    cluster.connect("here:6379")
    assert [(each.get("num_cpus"), each.get("num_gpus")) for each in told] == [
        (5, 0),
        (LocalMachine().cpus(), None),
        (None, None),
    ]


def test_ray_gets_a_folder_whose_sockets_can_be_named(tmp_path: Path):
    """A socket's path has 107 bytes at most, and TMPDIR may be anything."""
    short = tmp_path.relative_to("/")  # stands for /tmp, whose own content is not ours
    place = Path("/tmp") / f"osr-{os.getpid()}"
    place.mkdir()
    try:
        found = session_folder.session_folder({"TMPDIR": f"/{short}/{'x' * 60}"}, (place,))
        assert found == place / "ray"
        found = session_folder.session_folder({"RAY_TMPDIR": str(place)}, ())
        assert found == place / "ray"
    finally:
        place.rmdir()


def test_a_link_to_nowhere_is_no_folder_for_ray(tmp_path: Path):
    """Such as one to a disk that is not mounted any more; Ray would end in its own words."""
    place = Path("/tmp") / f"osr-{os.getpid()}"
    place.mkdir()
    try:
        for target in (tmp_path / "gone", place / "ray"):  # the second is a circle
            (place / "ray").symlink_to(target)
            found = session_folder.session_folder({}, (place,))
            assert found == place / f"ray-{os.geteuid()}"
            (place / "ray").unlink()
    finally:
        place.rmdir()


def test_a_folder_of_somebody_else_is_left_alone(monkeypatch: pytest.MonkeyPatch):
    """Who came first to a shared machine has made /tmp/ray."""
    place = Path("/tmp") / f"osr-{os.getpid()}"
    (place / "ray").mkdir(parents=True)
    try:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
        monkeypatch.setattr(os, "access", lambda path, mode: True)
        assert session_folder.session_folder({}, (place,)) == place / "ray-12345"
        with pytest.raises(ConfigError, match=r"somebody else's.*Set RAY_TMPDIR"):
            session_folder.session_folder({"TMPDIR": str(place)}, ())
    finally:
        (place / "ray").rmdir()
        place.rmdir()
