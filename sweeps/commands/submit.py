"""`osr submit`: a sweep on a cluster, from a machine that may be switched off."""

import re
import shlex
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from osr_core.errors import ConfigError
from sweeps.commands.options import GpuTypeOption, MaxSlotsOption, PriorityOption, ReasonOption
from sweeps.commands.run import SpecArgument

WHOLE = re.compile(r"[/~][\w./~-]*")  # what needs no quoting on the head


def submit(
    spec: SpecArgument,
    address: Annotated[
        str, typer.Option(help="The cluster's dashboard.", metavar="http://HOST:PORT")
    ],
    home: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Folder of all results, there; default: its OSR_HOME."),
    ] = None,
    priority: PriorityOption = 0,
    max_slots: MaxSlotsOption = None,
    reason: ReasonOption = None,
    gpu_type: GpuTypeOption = None,
) -> None:
    """Send a sweep's spec and code to a cluster, and return.

    The same spec and code again are a new job only if the last one failed or was stopped.
    """
    from sweeps.clusters.jobs import Jobs, entrypoint
    from sweeps.launch.shipment import SPEC, shipment
    from sweeps.launch.terms import terms_of, whoami
    from sweeps.planning.spec import load_spec

    if home is not None and not WHOLE.fullmatch(home):
        raise ConfigError(
            f"--home must be a whole path on the cluster's head, of letters, digits, '.', '_' and "
            f"'-', not '{home}': a job's own folder is deleted after it."
        )
    loaded = load_spec(spec)
    for left_out in loaded.missing:
        typer.echo(f"left out: {left_out}")
    terms_of(priority, max_slots, reason, gpu_type)  # a wrong one is said here
    sent = shipment(spec, loaded)
    command = entrypoint(SPEC, home, options(priority, max_slots, reason, gpu_type))
    jobs = Jobs(address)
    with TemporaryDirectory(prefix="osr-submit-") as name:
        sent.write(Path(name))
        job = jobs.submit(
            f"osr-{sent.sweep}-{sent.digest[:12]}",
            command,
            Path(name),
            sweep=sent.sweep,
            digest=sent.digest,
            by=whoami(),
        )
    told = f"submitted, {sent.megabytes:.1f} MB" if job.is_new else f"there already, {job.state}"
    typer.echo(f"sweep {sent.sweep}: job {job.name} ({told}; code {sent.version})")
    typer.echo(f"What it prints: osr logs {sent.sweep} --address {jobs.address} --follow")
    typer.echo(f"Stop it: osr stop {sent.sweep} --address {jobs.address}")


def options(
    priority: int = 0,
    max_slots: int | None = None,
    reason: str | None = None,
    gpu_type: str | None = None,
) -> str:
    """The same options for `osr run` on the head, as a shell reads them."""
    given = {"--priority": priority or None, "--max-slots": max_slots, "--reason": reason}
    given |= {"--gpu-type": gpu_type}
    words = [f"{name}={value}" for name, value in given.items() if value is not None]
    return shlex.join(words)
