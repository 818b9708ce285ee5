"""The `osr` command.

Exit codes: 0 done; 1 some stages failed; 2 the request is wrong; 3 what it needs broke (Ray, a
disk, a server, a lease that another driver has now); 4 no machine came that has what a stage asks
for; 5 the spec's budget is spent; 130 stopped by the user.
"""

import errno
import logging
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated

import typer

from osr_core.errors import ConfigError, OsrError
from sweeps.commands import (
    catalogue,
    datasets,
    doctor,
    imports,
    logs,
    plan,
    queue,
    report,
    results,
    run,
    status,
    steer,
    store,
    study,
    submit,
    ui,
    watch,
)
from sweeps.commands.terminal import (
    complain,
    drop,
    hold_closed_streams,
    print_whatever_the_encoding,
)

app = typer.Typer(
    help="Sweep open set recognition experiments and get a paper's tables out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def print_version(wanted: bool) -> None:
    """What `osr --version` does."""
    if wanted:
        typer.echo(f"osr-sweeps {version('osr-sweeps')}")
        raise typer.Exit


@app.callback()
def osr(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=print_version, is_eager=True, help="Print the version and end."
        ),
    ] = False,
) -> None:
    """Stands before every command."""


COMMANDS: tuple[Callable[..., None], ...] = (  # in the order in which `osr --help` lists them
    *(
        plan.plan,
        plan.cost,
        run.run,
        submit.submit,
        status.status,
        watch.watch,
        queue.queue,
        study.study,
        logs.logs,
        steer.stop,
        steer.cancel,
        steer.retry,
        steer.pause,
        steer.resume,
        store.sync,
        store.merge,
        store.gc,
    ),
    *(results.export, results.table, results.figure, report.report),
    *(ui.ui, doctor.doctor, catalogue.methods, catalogue.splits, catalogue.spec, catalogue.schema),
)
OF_SYSTEM = 3  # exit code
OF_OUTPUT = (errno.EPIPE, errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
for command in COMMANDS:
    app.command()(command)
app.command("weights")(imports.taken_out)
app.add_typer(imports.app, name="import")
app.add_typer(datasets.datasets_app, name="datasets")


def main() -> None:
    """Run the command; what is wrong with a request is said without a traceback."""
    hold_closed_streams()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    print_whatever_the_encoding()
    try:
        try:
            app()
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # now, while a full disk can be said
    except OsrError as error:
        lines = error.problems if isinstance(error, ConfigError) else [str(error)]
        for line in lines:
            complain(line)
        sys.exit(error.exit_code)
    except OSError as error:  # of a file beside the store, whose own say what to do
        if error.filename is None and error.errno not in OF_OUTPUT:
            raise
        if error.filename is None:
            drop(sys.stdout)
        if error.errno != errno.EPIPE:  # whoever reads has had enough
            complain(of_system(error))
        sys.exit(OF_SYSTEM)


def of_system(error: OSError) -> str:
    """What the system says of a file, or of the output, with what to do."""
    if error.filename is None:
        return f"the output cannot be written: {error.strerror}. Make room, then try again."
    return (
        f"{error.filename} cannot be read or written: {error.strerror}. Get permission or make "
        "room there, name another place (--output), or copy the home to a folder of yours (--home)."
    )
