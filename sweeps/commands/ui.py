"""`osr ui`: MLflow's pages on this machine, or for a team."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from osr_core.errors import ConfigError
from sweeps.addresses import DATABASE, why_silent, why_uri_silent
from sweeps.commands.options import DEFAULT_HOME, NO_RESULTS, HomeOption, at
from sweeps.commands.terminal import lasting_output
from sweeps.launch.reaper import Reaper

OF_TOOL = 3  # exit code
OPTIONS = ("MLFLOW_UVICORN_OPTS", "MLFLOW_GUNICORN_OPTS")  # MLflow takes one of them
LOOK_EVERY_S = 0.2  # whether the server answers


def one_host(given: str) -> str:
    """An address; an empty one would be all of them.

    Raises:
        BadParameter: it is empty, as where a shell's variable is not set.
    """
    if not given.strip():
        raise typer.BadParameter("it is empty, which is every address. Is a variable not set?")
    return given


HostOption = Annotated[str, typer.Option(callback=one_host, help="Address to listen on.")]


def ui(
    home: HomeOption = DEFAULT_HOME,
    server: Annotated[
        str | None,
        typer.Option(
            envvar="OSR_TRACKING_DATABASE",
            help="Serve this database (postgresql://...) to a team instead of the home's own.",
        ),
    ] = None,
    host: HostOption = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 5000,
) -> None:
    """Open MLflow's pages on this machine until Ctrl-C, or serve a team's database."""
    user_home = at(home)
    if server is not None:
        check_database(server)
    if server is None and user_home.tracking is not None:
        typer.echo(f"MLflow: {user_home.tracking} (OSR_TRACKING_URI)")
        return
    if server is None and not user_home.database.exists():
        raise ConfigError(
            f"there is no MLflow database in {user_home.root.resolve()}. {NO_RESULTS}"
        )
    if server is None:
        from sweeps.tracking.database import check_opens  # MLflow takes seconds to import

        check_opens(user_home)
    check_free(host, port)
    command = [sys.executable, "-P", "-m", "mlflow", "server", "--host", host, "--port", str(port)]
    command += [] if server else ["--workers", "1"]  # one user; four take long to start
    artifacts = (user_home.root.resolve() / "mlflow" / "artifacts").as_uri()
    environment = {  # not on the command line, where every user of the machine could read it
        "MLFLOW_LOGGING_LEVEL": "ERROR",  # why it ends, if it does
        "MLFLOW_BACKEND_STORE_URI": server or user_home.tracking_uri,
        "MLFLOW_ARTIFACTS_DESTINATION" if server else "MLFLOW_DEFAULT_ARTIFACT_ROOT": artifacts,
    }
    if server is None and not any(each in os.environ for each in OPTIONS):
        environment[OPTIONS[0]] = "--log-level warning"  # not a line for each request
    folder = user_home.database.parent  # nothing of the user's folder is imported
    try:
        with lasting_output():
            serve(command, {**os.environ, **environment}, folder, host, port, quiet=server is None)
    except KeyboardInterrupt:
        return
    raise typer.Exit(OF_TOOL)


def serve(
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    host: str,
    port: int,
    *,
    quiet: bool,
) -> None:
    """Run a server until it ends by itself; say where it is once it answers.

    What a `quiet` one prints before that is seen only if it never answers.
    """
    typer.echo("MLflow is starting, which takes some seconds")
    answers, kept = threading.Event(), list[str]()
    with Reaper():  # it has processes of its own
        server = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            start_new_session=True,  # it hears no Ctrl-C
            stdout=subprocess.PIPE if quiet else None,
            stderr=subprocess.STDOUT if quiet else None,
            text=True,
            errors="replace",
        )
        reader = threading.Thread(target=relay, args=(server.stdout or (), answers, kept))
        reader.start()
        try:
            while server.poll() is None and why_silent(host, port):
                time.sleep(LOOK_EVERY_S)
            if server.poll() is None:
                answers.set()
                name = f"[{host}]" if ":" in host else host
                typer.echo(f"MLflow: http://{name}:{port} (Ctrl-C ends it)")
            code = server.wait()
        finally:
            if not answers.is_set():
                typer.echo("".join(kept), err=True, nl=False)
    reader.join()
    typer.echo(f"MLflow's server has ended by itself, with {code}", err=True)


def relay(lines: Iterable[str], answers: threading.Event, kept: list[str]) -> None:
    """Keep what a server prints until it answers, and print what comes later."""
    for line in lines:
        if answers.is_set():
            typer.echo(line, err=True, nl=False)
        else:
            kept.append(line)


def check_database(uri: str) -> None:
    """ConfigError where no team's database can be at a URI, or none answers there.

    The URI itself is not repeated: it may hold a password.
    """
    if not DATABASE.fullmatch(uri):
        raise ConfigError(
            "--server (OSR_TRACKING_DATABASE) must be a database, such as "
            "postgresql+psycopg://USER@HOST/NAME."
        )
    if why := why_uri_silent(uri):
        raise ConfigError(f"the database of --server cannot be reached: {why}.")


def check_free(host: str, port: int) -> None:
    """ConfigError where nobody can listen on a port of an address."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
            probe.bind((host, port))
    except OSError as error:
        raise ConfigError(
            f"nobody can listen on {host}:{port} now ({error.strerror}). Choose another --port or "
            "--host."
        ) from error
