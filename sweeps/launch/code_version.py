"""The version of the code that runs."""

import subprocess
from importlib.metadata import version
from pathlib import Path


def code_version() -> str:
    """The commit of this code, marked where files differ from it; else the package's version."""
    try:
        _git("ls-files", "--error-unmatch", Path(__file__).name)  # else another project's commit
        return _git("describe", "--always", "--dirty", "--exclude=*")
    except (OSError, subprocess.CalledProcessError):
        return f"osr-sweeps {version('osr-sweeps')}"


def _git(*words: str) -> str:
    command = ["git", "-C", str(Path(__file__).parent), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
