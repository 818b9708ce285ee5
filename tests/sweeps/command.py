"""The `osr` command as a user types it."""

import subprocess
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from subprocess import CompletedProcess
from unittest import mock

from sweeps.commands.app import main

GOLDEN = Path(__file__).parents[1] / "golden"
TINY = GOLDEN / "tiny.yaml"


def run_osr(*arguments: str | Path, home: Path) -> CompletedProcess[str]:
    """Run it to its end, in a process of its own."""
    command = [sys.executable, "-m", "sweeps", *map(str, arguments), "--home", str(home)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)


def call_osr(*arguments: str | Path, home: Path) -> CompletedProcess[str]:
    """The same in this process, which has imported already what takes a new one seconds.

    For what starts no Ray: that wants a process of its own.
    """
    command = ["osr", *map(str, arguments), "--home", str(home)]
    printed, said, code = StringIO(), StringIO(), 0
    with (
        mock.patch.object(sys, "argv", command),
        redirect_stdout(printed),
        redirect_stderr(said),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # of the libraries below, which Python shows no user
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    return CompletedProcess(command, code, printed.getvalue(), said.getvalue())
