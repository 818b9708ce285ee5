"""Whether a cluster's jobs would run with the Ray and the Python of here.

A dashboard tells which Ray it is itself, but neither which Python there is nor what the jobs find
by the name `python`. So a job of one line is asked, once in the life of a head: it stays among the
head's jobs, and its log has the answer.
"""

import json
import shlex
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from platform import python_version
from typing import Any, NamedTuple, Self

from osr_core.errors import ConfigError

JOB = "osr-versions"
PROGRAM = (
    "import json, platform; from importlib.metadata import version; "
    "print(json.dumps([platform.python_version(), version('ray')]))"
)
COMMAND = f"exec python -c {shlex.quote(PROGRAM)}"
ANSWER_S, LOOK_EVERY_S = 120.0, 0.5


class Versions(NamedTuple):
    """What a job runs with."""

    python: str
    ray: str

    @classmethod
    def here(cls) -> Self:
        """Of this process."""
        return cls(python_version(), version("ray"))

    @classmethod
    def told(cls, log: str) -> Self | None:
        """What the job has printed the last time; None where that is something else.

        Ray writes a line of its own, before what is printed or after it.
        """
        for line in reversed(log.splitlines()):
            with suppress(ValueError, TypeError):
                python, ray = json.loads(line)
                return cls(str(python), str(ray))
        return None

    def serves(self, other: Self) -> bool:
        """Whether a job that is made here with `other` runs there: a patch of Python is no matter,
        as code is sent as text.
        """
        return (self.ray, _minor(self.python)) == (other.ray, _minor(other.python))

    def __str__(self) -> str:
        return f"Python {self.python} and Ray {self.ray}"


def check_versions(client: Any, address: str, here: Versions | None = None) -> None:
    """Ask a cluster what its jobs run with, unless it has said so before.

    Args:
        client: Ray's own, for the cluster's jobs.
        address: of the cluster, for people.
        here: what they must run with; default: what this process does.

    Raises:
        ConfigError: they find another Ray or Python, or none.
        TimeoutError: no job begins there.
    """
    asked_for = here or Versions.here()
    log = _answer(client)
    found = Versions.told(log)
    if found is not None and found.serves(asked_for):
        return
    client.delete_job(JOB)  # whoever mends it is not told the old answer
    remedy = "Start Ray there from an environment with the packages of requirements.lock."
    if found is None:
        own = [line for line in log.splitlines() if JOB not in line]
        said = " ".join(" ".join(own).split())[-200:] or "it prints nothing"
        raise ConfigError(
            f"jobs of the cluster at {address} find no Python with Ray ({said}). {remedy}"
        )
    raise ConfigError(
        f"jobs of the cluster at {address} run with {found}, and here is {asked_for}. {remedy}"
    )


def _answer(client: Any) -> str:
    """What the job prints, now or when somebody asked before."""
    if JOB not in _known(client):
        try:
            client.submit_job(entrypoint=COMMAND, submission_id=JOB)
        except RuntimeError:
            if JOB not in _known(client):  # else somebody else was faster
                raise
    _wait_until(lambda: client.get_job_status(JOB).is_terminal())
    return str(client.get_job_logs(JOB))


def _known(client: Any) -> set[str]:
    return {job.submission_id for job in client.list_jobs()}


def _wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + ANSWER_S
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"job {JOB}, which takes seconds, has not ended in {ANSWER_S:.0f} s")
        time.sleep(LOOK_EVERY_S)


def _minor(python: str) -> list[str]:
    return python.split(".")[:2]
