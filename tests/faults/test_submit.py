"""`osr submit` to a Ray head that runs on this machine, with a dashboard and a token."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from ray.job_submission import JobSubmissionClient

from sweeps.clusters import versions
from tests.faults.harness import WAIT_S, free_port, wait_until
from tests.sweeps.command import TINY, run_osr

pytestmark = pytest.mark.faults
TOKEN = "0123456789abcdef" * 4


class Head(NamedTuple):
    """A cluster of one machine, and how it is reached."""

    address: str
    environment: dict[str, str]

    def submit(self, *words: str | Path, **settings: str) -> "subprocess.CompletedProcess[str]":
        """`osr submit` from elsewhere."""
        return self.ask("submit", *words, **settings)

    def ask(self, *words: str | Path, **settings: str) -> "subprocess.CompletedProcess[str]":
        """A command of osr from elsewhere."""
        command = [sys.executable, "-m", "sweeps", *map(str, words)]
        return subprocess.run(
            command,
            env=self.environment | settings,
            capture_output=True,
            text=True,
            check=False,
            timeout=WAIT_S,
        )

    @property
    def jobs(self) -> JobSubmissionClient:
        """Ray's own client."""
        return JobSubmissionClient(self.address, headers={"Authorization": f"Bearer {TOKEN}"})


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    """Ended by a signal: `ray stop` would end those of others, too."""
    folder, session = tmp_path_factory.mktemp("head"), tempfile.mkdtemp(prefix="osr", dir="/tmp")
    token = folder / "token"
    token.write_text(TOKEN)
    port, dashboard = free_port(), free_port()
    environment = os.environ | {
        "RAY_AUTH_TOKEN_PATH": str(token),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    command = ["ray", "start", "--head", "--block", "--node-ip-address=127.0.0.1"]
    command += [f"--port={port}", f"--dashboard-port={dashboard}", f"--temp-dir={session}"]
    command += ["--dashboard-host=127.0.0.1", "--num-cpus=2", "--object-store-memory=100000000"]
    command += [
        f"--dashboard-agent-listen-port={free_port()}"
    ]  # another Ray may have its usual one
    with (folder / "log").open("w") as log:
        started = subprocess.Popen(
            command,
            env=environment | {"RAY_AUTH_MODE": "token", "OSR_HOME": str(folder / "home")},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    made = Head(f"http://127.0.0.1:{dashboard}", environment)
    try:
        wait_until(lambda: answers(made) or started.poll() is not None, "the dashboard")
        yield made
    finally:
        started.terminate()
        started.wait(60)
        shutil.rmtree(session, ignore_errors=True)


def answers(head: Head) -> bool:
    """Whether the head takes jobs, some seconds after its dashboard answers."""
    try:
        jobs = head.jobs
        first = jobs.submit_job(entrypoint="true")
        wait_until(lambda: jobs.get_job_status(first).is_terminal(), "a job")
        return jobs.delete_job(first)
    except (OSError, RuntimeError):
        return False


@pytest.mark.brief
def test_sweep_that_is_submitted_twice_is_one_job_with_the_table_of_a_local_run(
    head: Head, tmp_path: Path
):
    """Code and spec are all that the cluster needs."""
    first = head.submit(TINY, "--address", head.address)
    assert first.returncode == 0, first.stderr
    assert "submitted" in first.stdout
    assert first.stderr == ""
    second = head.submit(TINY, "--address", head.address)
    assert "there already" in second.stdout
    names = [job.submission_id or "" for job in head.jobs.list_jobs()]
    (name,) = (name for name in names if name.startswith("osr-tiny"))
    assert name in first.stdout
    assert name in second.stdout
    wait_until(lambda: head.jobs.get_job_status(name).is_terminal(), "its end")
    printed = head.jobs.get_job_logs(name)
    assert head.jobs.get_job_info(name).driver_exit_code == 0, printed
    local = run_osr("run", TINY, home=tmp_path / "home")
    assert table(local.stdout) == table(printed)
    assert "there already, SUCCEEDED" in head.submit(TINY, "--address", head.address).stdout


def test_job_is_followed_stopped_and_goes_on_by_the_sweeps_name(head: Head, tmp_path: Path):
    """A laptop that reaches nothing but the dashboard."""
    at = ("--address", head.address)
    spec = tmp_path / "long.yaml"
    spec.write_text(
        "name: long\ndatasets: [digits]\nsplits: [0]\nbackbone: {width: 0.125}\n"
        "training: {epochs: 500, batch_size: 32}\nmethods: {softmax: {}}\n"
    )
    unknown = head.ask("status", "long", *at)
    assert (unknown.returncode, "sweep 'long' does not exist" in unknown.stderr) == (2, True)
    submitted = head.submit(spec, *at)
    assert f"osr logs long --address {head.address} --follow" in submitted.stdout
    wait_until(lambda: "starting Ray" in head.ask("logs", "long", *at).stdout, "the driver")
    command = [sys.executable, "-m", "sweeps", "logs", "long", "--follow", *at]
    with subprocess.Popen(
        command, env=head.environment, stdout=subprocess.PIPE, text=True
    ) as follower:
        assert "RUNNING" in head.ask("status", "long", *at, "--json").stdout
        time.sleep(15)  # some epochs
        stopped = head.ask("stop", "long", *at)
        assert (stopped.returncode, "running epochs end" in stopped.stdout) == (0, True)
        followed, _ = follower.communicate(timeout=WAIT_S)
        assert follower.returncode == 0
    assert "stopped; what is saved stays" in followed
    assert "STOPPED" in head.ask("status", "long", *at).stdout
    again = head.ask("stop", "long", *at)
    assert (again.returncode, "only one that is RUNNING" in again.stderr) == (2, True)


def table(printed: str) -> list[str]:
    """The lines from a table's heading to the line that says where MLflow's data are."""
    _, heading, after = printed.partition("# tiny\n")
    lines, marker, _ = after.partition("\nMLflow data: ")
    assert heading, printed
    assert marker, printed
    return lines.splitlines()


@pytest.mark.parametrize("command", ["status", "logs", "stop"])
def test_wrong_token_is_one_sentence_for_who_follows_a_job(head: Head, command: str):
    """As for who submits one."""
    wrong = head.ask(command, "tiny", "--address", head.address, RAY_AUTH_TOKEN="0" * 64)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "it does not know the token from here" in wrong.stderr


@pytest.mark.brief
def test_wrong_or_missing_token_is_one_sentence(head: Head):
    """Not Ray's page of advice."""
    wrong = head.submit("digits", "--address", head.address, RAY_AUTH_TOKEN="0" * 64)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "it does not know the token from here" in wrong.stderr
    nowhere = {"RAY_AUTH_TOKEN_PATH": "", "HOME": "/nowhere"}
    missing = head.submit("digits", "--address", head.address, **nowhere)
    assert missing.returncode == 2
    assert "asks for a token, and there is no token here" in missing.stderr


def test_job_of_that_name_that_is_not_ours_is_left_alone(head: Head, tmp_path: Path):
    """Somebody else has taken the name."""
    spec = tmp_path / "other.yaml"
    spec.write_text("name: other\ndatasets: [digits]\nsplits: [0]\nmethods: {softmax: {}}\n")
    from sweeps.launch.shipment import shipment
    from sweeps.planning.spec import load_spec

    digest = shipment(str(spec), load_spec(str(spec))).digest
    head.jobs.submit_job(entrypoint="true", submission_id=f"osr-other-{digest[:12]}")
    refused = head.submit(spec, "--address", head.address)
    assert refused.returncode == 2
    assert "that is not this sweep's" in refused.stderr


def test_nothing_is_sent_to_a_head_whose_jobs_run_with_another_python(head: Head, tmp_path: Path):
    """Once it is mended, the same command goes through."""
    if versions.JOB in [job.submission_id for job in head.jobs.list_jobs()]:
        head.jobs.delete_job(versions.JOB)
    told = """echo '["3.9.2", "2.60.0"]'"""
    head.jobs.submit_job(entrypoint=told, submission_id=versions.JOB)
    wait_until(lambda: head.jobs.get_job_status(versions.JOB).is_terminal(), "the job")
    spec = tmp_path / "versions.yaml"
    spec.write_text("name: versions\ndatasets: [digits]\nsplits: [0]\nmethods: {softmax: {}}\n")
    refused = head.submit(spec, "--address", head.address)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "run with Python 3.9.2 and Ray 2.60.0, and here is Python 3.1" in refused.stderr
    sent = {str(job.submission_id) for job in head.jobs.list_jobs()} - {versions.JOB}
    assert not any("versions" in each for each in sent)
    assert head.submit(spec, "--address", head.address).returncode == 0
    assert head.ask("stop", "versions", "--address", head.address).returncode in (0, 2)
