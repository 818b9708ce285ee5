"""Ray Jobs: handing a driver to a cluster that runs elsewhere."""

import asyncio
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import ray
from ray.exceptions import AuthenticationError
from ray.job_submission import JobDetails, JobSubmissionClient

from osr_core.errors import ConfigError, OsrError, unknown_name
from sweeps.addresses import check_server, holds_password, why_uri_silent
from sweeps.clusters.token import token
from sweeps.clusters.versions import check_versions
from sweeps.environment import BY

ANSWER_S = 30.0
ATTEMPTS = "1 2 3 4 5"  # of drivers that signals end, in one job
ENDED_BADLY = ("FAILED", "STOPPED")  # such a job is submitted anew, under the next name
TELLS_OF_UPLOADS = (
    *("ray.dashboard.modules.dashboard_sdk", "ray.dashboard.modules.job.sdk"),
    "ray._private.runtime_env.packaging",
)
SHIPMENT, OF_SWEEP = "osr_shipment", "osr_sweep"  # in a job's metadata: what it was made of


class JobsError(OsrError):
    """A cluster answered, and then did not do what it was asked for."""

    exit_code = 3


class Submitted(NamedTuple):
    """A job on the cluster."""

    name: str
    state: str  # as Ray calls it
    is_new: bool


class Jobs:
    """The jobs of the cluster whose dashboard is at `address`."""

    def __init__(self, address: str) -> None:
        """Say hello.

        Raises:
            ConfigError: nobody answers there, or not Ray, or of another version, or not to us.
        """
        if holds_password(address):
            raise ConfigError(
                "--address holds a password, and it is printed and kept in logs. Take it out; a "
                "cluster asks for a token (RAY_AUTH_TOKEN, or ~/.ray/auth_token)."
            )
        check_server("--address", address)
        self.address = address.rstrip("/")
        if why := why_uri_silent(address):
            raise ConfigError(
                f"no Ray dashboard can be reached: {why}. See that the cluster runs, and that the "
                "tunnel to its head is open: ssh -L 8265:127.0.0.1:8265 HEAD"
            )
        known = token()
        self.headers = {"Authorization": f"Bearer {known}"} if known else {}
        there = self._version()
        if there != ray.__version__:
            raise ConfigError(
                f"the cluster at {address} runs Ray {there}, and here is Ray {ray.__version__}. "
                "Install the same version on both sides."
            )
        for name in TELLS_OF_UPLOADS:
            logging.getLogger(name).setLevel(logging.WARNING)
        with self._explained("cannot be asked"):
            self.client = JobSubmissionClient(self.address, headers=self.headers)

    def submit(
        self,
        name: str,
        entrypoint: str,
        folder: Path,
        *,
        sweep: str,
        digest: str,
        by: str,
    ) -> Submitted:
        """Start a job, unless it is there already; one that ended badly is started anew.

        Nothing is sent to a cluster whose jobs run with another Ray or Python.

        Args:
            name: of the job; later attempts are called NAME-2, NAME-3.
            entrypoint: the command.
            folder: the files that it runs in.
            sweep: the name of the sweep that it runs.
            digest: of its files; tells jobs apart that only share a name.
            by: who submits it.

        Raises:
            ConfigError: another job has this name, or jobs there run with other versions.
            JobsError: the cluster refuses it.
        """
        made_of = {SHIPMENT: digest, OF_SWEEP: sweep, BY: by}
        for number in count(1):
            attempt = name if number == 1 else f"{name}-{number}"
            found = self._find(attempt, made_of)
            if found is not None and found.state in ENDED_BADLY:
                continue
            if found is None:
                with self._explained("does not say what its jobs run with"):
                    check_versions(self.client, self.address)
                found = self._start(attempt, entrypoint, folder, made_of)
            return found
        raise AssertionError  # names do not end

    def listed(self, sweep: str | None = None) -> list[dict[str, Any]]:
        """A row for each job that was made of a sweep, or of any, the latest first.

        Raises:
            ConfigError: none was made of this sweep.
        """
        rows = [
            {
                "sweep": metadata[OF_SWEEP],
                "by": metadata.get(BY),
                "job": job.submission_id,
                "state": str(job.status.value),
                "submitted": moment(job.start_time),
                "ended": moment(job.end_time),
                "message": first_line(job.message) if job.status.is_terminal() else None,
            }
            for job in sorted(self._jobs(), key=lambda job: job.start_time or 0, reverse=True)
            if OF_SWEEP in (metadata := job.metadata or {})
        ]
        if sweep is None:
            return rows
        if found := [row for row in rows if row["sweep"] == sweep]:
            return found
        known = unknown_name("sweep", sweep, {row["sweep"] for row in rows})
        raise ConfigError(f"of the jobs at {self.address}: {known}")

    def stop(self, sweep: str) -> str:
        """Stop the latest job of a sweep, as Ctrl-C at its driver would; its name.

        Raises:
            ConfigError: it does not run. JobsError: the cluster refuses it.
        """
        latest, *_ = self.listed(sweep)
        if latest["state"] != "RUNNING":
            raise ConfigError(
                f"job {latest['job']} is {latest['state']}, and only one that is RUNNING can be "
                "stopped."
            )
        with self._explained("does not stop the job"):
            self.client.stop_job(latest["job"])
        return str(latest["job"])

    def log(self, sweep: str, *, follow: bool) -> Iterator[str]:
        """What the driver of the latest job of a sweep has printed; if asked, also what it will."""
        latest, *_ = self.listed(sweep)
        with self._explained("does not give the job's log"):
            if not follow:
                yield self.client.get_job_logs(latest["job"])
                return
            with asyncio.Runner() as runner:
                parts = self.client.tail_job_logs(latest["job"])
                while (part := runner.run(anext(parts, None))) is not None:
                    yield part

    def _jobs(self) -> list[JobDetails]:
        """All that the cluster has had since it was started."""
        with self._explained("cannot be asked for its jobs"):
            return [job for job in self.client.list_jobs() if job.submission_id]

    def _start(
        self, name: str, entrypoint: str, folder: Path, made_of: Mapping[str, str]
    ) -> Submitted:
        with self._explained("does not take the job"):
            try:
                self.client.submit_job(
                    entrypoint=entrypoint,
                    submission_id=name,
                    runtime_env={"working_dir": str(folder), "env_vars": {BY: made_of[BY]}},
                    metadata=dict(made_of),
                )
            except RuntimeError:
                if (found := self._find(name, made_of)) is None:
                    raise
                return found  # somebody else was faster, or Ray had not heard its own answer
        return Submitted(name, "PENDING", True)

    def _find(self, name: str, made_of: Mapping[str, str]) -> Submitted | None:
        """A job of that name, if there is one."""
        job = {job.submission_id: job for job in self._jobs()}.get(name)
        if job is None:
            return None
        if (job.metadata or {}).get(SHIPMENT) != made_of[SHIPMENT]:
            raise ConfigError(
                f"the cluster at {self.address} has a job '{name}' that is not this sweep's. "
                f"Delete it when it has ended: ray job delete {name}"
            )
        return Submitted(name, str(job.status.value), False)

    def _version(self) -> str:
        """Of the Ray that answers."""
        request = Request(f"{self.address}/api/version", headers=self.headers)
        try:
            with urlopen(request, timeout=ANSWER_S) as answer:
                told = json.load(answer)
            return str(told["ray_version"])
        except HTTPError as error:
            if error.code in (401, 403):
                raise ConfigError(self._refused()) from None
            why = f"HTTP {error.code}"
        except URLError as error:  # of a proxy, as somebody answers
            why = str(error.reason)
        except (OSError, ValueError, KeyError, TypeError) as error:
            why = type(error).__name__
        raise ConfigError(
            f"what answers at {self.address} is not Ray's dashboard ({why}). Give the address that "
            "`ray start --head` printed for it, http://HOST:8265."
        )

    def _refused(self) -> str:
        has = "it does not know the token from here" if self.headers else "there is no token here"
        return (
            f"the cluster at {self.address} asks for a token, and {has}. Copy its head's "
            "~/.ray/auth_token to the same place here, or set RAY_AUTH_TOKEN."
        )

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        """Whatever Ray's client raises is one sentence of ours."""
        try:
            yield
        except OsrError:
            raise
        except AuthenticationError:
            raise ConfigError(self._refused()) from None
        except Exception as error:
            told = " ".join(str(error).split())[:300]
            raise JobsError(
                f"the cluster at {self.address} {what}: {told}. Run the same command again; no "
                "second job is made by it."
            ) from error


def entrypoint(spec: str, home: str | None, options: str = "") -> str:
    """The command of a job that runs a sweep, with `options` for a shell; its own folder is deleted
    after it, so that results must lie elsewhere.

    A driver that a signal has ended, as where memory ran out, is started again, and goes on; not
    one that was asked to stop, as Ray does by a SIGTERM to the shell and the driver.
    """
    where = home or "${OSR_HOME:?must be set on the head, or give osr submit --home}"
    run = f'python -m sweeps run {spec} --address auto --home "{where}" {options}'.strip()
    return (
        f"trap 'stopped=1' TERM; for attempt in {ATTEMPTS}; do {run}; code=$?; "
        f'[ -n "$stopped" ] || [ $code -lt 128 ] || [ $code -eq 130 ] && break; done; exit $code'
    )


def moment(at_ms: int | None) -> str | None:
    """A time as Ray tells it, in ms since 1970, for people."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC" if at_ms else None


def first_line(text: str | None) -> str | None:
    """Of what Ray says of a job, at most a line's length."""
    return text and text.strip().splitlines()[0][:100]
