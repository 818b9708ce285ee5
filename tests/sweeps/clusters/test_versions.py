"""What jobs on a cluster run with, asked before anything is sent."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from osr_core.errors import ConfigError
from sweeps.clusters.versions import JOB, Versions, check_versions

ENDED = SimpleNamespace(is_terminal=lambda: True)


class Cluster:
    """Runs jobs as a head does: by a shell, in the PATH in which Ray was started."""

    def __init__(self, path: str) -> None:
        self.path, self.logs, self.started = path, dict[str, str](), 0

    def submit_job(self, *, entrypoint: str, submission_id: str) -> None:
        """Run one to its end."""
        self.started += 1
        environment = os.environ | {"PATH": self.path}
        ran = subprocess.run(
            entrypoint, shell=True, env=environment, capture_output=True, text=True, check=False
        )
        line = f"Running entrypoint for job {submission_id}: {entrypoint}\n"
        self.logs[submission_id] = line + ran.stdout + ran.stderr + line  # Ray's is here or there

    def list_jobs(self) -> list[SimpleNamespace]:
        """All that it has had."""
        return [SimpleNamespace(submission_id=name) for name in self.logs]

    def get_job_status(self, name: str) -> SimpleNamespace:
        """Of one that is known."""
        assert name in self.logs
        return ENDED

    def get_job_logs(self, name: str) -> str:
        """What one printed."""
        return self.logs[name]

    def delete_job(self, name: str) -> None:
        """Forget one."""
        del self.logs[name]


@pytest.fixture
def bin_folder(tmp_path: Path) -> Path:
    """All that a cluster's PATH has."""
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


def python(folder: Path, prints: str) -> Path:
    """A Python that says so, whatever it is asked."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\necho '{prints}'\n")
    path.chmod(0o755)
    return path


def test_the_same_environment_serves_and_is_asked_once():
    """The job is this very Python, and a head's life is longer than a user's patience."""
    cluster = Cluster(f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    check_versions(cluster, "http://head")
    check_versions(cluster, "http://head")
    assert cluster.started == 1
    assert Versions.told(cluster.logs[JOB]) == Versions.here()


@pytest.mark.parametrize(
    ("there", "named"),
    [
        ('["3.9.2", "2.60.0"]', "Python 3.9.2 and Ray 2.60.0"),
        ('["3.11.4", "2.9.3"]', "Python 3.11.4 and Ray 2.9.3"),
    ],
)
def test_other_versions_are_one_sentence_and_asked_anew_after_they_are_mended(
    bin_folder: Path, there: str, named: str
):
    """The driver would end there with a traceback, or not start."""
    here = Versions("3.11.9", "2.60.0")
    program = python(bin_folder, there)
    cluster = Cluster(str(bin_folder))
    with pytest.raises(ConfigError, match=f"run with {named}, and here is {here}") as raised:
        check_versions(cluster, "http://head", here)
    assert raised.value.exit_code == 2
    assert "\n" not in str(raised.value)
    program.write_text('#!/bin/sh\necho a warning\necho \'["3.11.2", "2.60.0"]\'\n')
    check_versions(cluster, "http://head", here)


@pytest.mark.parametrize("prints", [None, "No package metadata was found for ray", "[1]"])
def test_a_cluster_whose_jobs_find_no_ray_is_told_so(bin_folder: Path, prints: str | None):
    """With what the shell or Python says there."""
    if prints is not None:
        python(bin_folder, prints)
    words = "not found" if prints is None else prints
    with pytest.raises(ConfigError) as raised:
        check_versions(Cluster(str(bin_folder)), "http://head")
    assert "find no Python with Ray" in str(raised.value)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
