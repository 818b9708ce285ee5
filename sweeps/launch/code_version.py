"""The version of the code that runs."""

import os
import subprocess
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
SHIPPED = "code_version.txt"  # beside code that was sent to a cluster, without its repository
ANSWER_S = 60.0  # a big checkout on a slow disk
# Git refuses to look at what belongs to another user, since it might run programs that are named
# there. These are programs that run already, and the one that git would start for itself is off.
TRUSTED = ("-c", "safe.directory=*", "-c", "core.fsmonitor=false")


def code_version(folder: Path = HERE) -> str:
    """The commit of the code in a folder, marked where files differ from it; else the package's
    version. Where there is a commit that cannot be told, the version says why.
    """
    if (folder / SHIPPED).exists():
        return (folder / SHIPPED).read_text(encoding="utf-8").strip()
    package = f"osr-sweeps {version('osr-sweeps')}"
    if not any((above / ".git").exists() for above in (folder, *folder.parents)):
        return package
    try:
        if not _git(folder, "ls-files", "--", "."):  # else another project's commit
            return package
        return _git(folder, "describe", "--always", "--dirty", "--exclude=*")
    except FileNotFoundError:
        why = "git is not installed"
    except subprocess.TimeoutExpired:
        why = f"git did not answer within {ANSWER_S:.0f} s"
    except OSError as error:
        why = f"git cannot be run: {error.strerror}"
    except subprocess.CalledProcessError as error:
        told = (str(error.stderr).strip() or f"it ended with {error.returncode}").splitlines()[0]
        why = f"git: {told.removeprefix('fatal: ')}"
    return f"{package} (commit unknown: {why})"


def tracked(folder: Path) -> list[Path] | None:
    """The files below a folder that git tracks; None where no repository has any of them."""
    return _listed(folder) or None


def untracked(folder: Path) -> list[Path]:
    """The Python files below a folder that git would track if it was told to."""
    return _listed(folder, "--others", "--exclude-standard", "*.py")


def _listed(folder: Path, *words: str) -> list[Path]:
    try:
        names = _git(folder, "ls-files", "-z", *(words or (".",))).split("\0")
    except (OSError, subprocess.SubprocessError):
        return []
    return [folder / name for name in names if name]


def _git(folder: Path, *words: str) -> str:
    """What git answers about a folder, whatever repository the user's own variables name."""
    command = ["git", "-C", str(folder), *TRUSTED, *words]
    own = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    own |= {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=own, timeout=ANSWER_S
    )
    return done.stdout.strip()
