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


class GitError(Exception):
    """There is a repository, and git does not say what is asked of it; says why."""


def code_version(folder: Path = HERE) -> str:
    """The commit of the code in a folder, marked where files differ from it; else the package's
    version. Where there is a commit that cannot be told, the version says why.
    """
    if (folder / SHIPPED).exists():
        return (folder / SHIPPED).read_text(encoding="utf-8").strip()
    package = f"osr-sweeps {version('osr-sweeps')}"
    if not _in_repository(folder):
        return package
    try:
        if not _git(folder, "ls-files", "--", "."):  # else another project's commit
            return package
        return _git(folder, "describe", "--always", "--dirty", "--exclude=*")
    except GitError as error:
        return f"{package} (commit unknown: {error})"


def tracked(folder: Path) -> list[Path] | None:
    """The files below a folder that git tracks; None where no repository has any of them.

    Raises:
        GitError: there is a repository, and it cannot be told.
    """
    return (_listed(folder) if _in_repository(folder) else None) or None


def untracked(folder: Path) -> list[Path]:
    """The Python files below a folder that git would track if it was told to."""
    return _listed(folder, "--others", "--exclude-standard", "*.py")


def _listed(folder: Path, *words: str) -> list[Path]:
    names = _git(folder, "ls-files", "-z", *(words or (".",))).split("\0")
    return [folder / name for name in dict.fromkeys(names) if name]  # in a merge, some thrice


def _in_repository(folder: Path) -> bool:
    return any((above / ".git").exists() for above in (folder, *folder.parents))


def _git(folder: Path, *words: str) -> str:
    """What git answers about a folder, whatever repository the user's own variables name.

    Raises:
        GitError: it does not; says why.
    """
    command = ["git", "-C", str(folder), *TRUSTED, *words]
    own = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    own |= {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(command, capture_output=True, check=True, env=own, timeout=ANSWER_S)
    except FileNotFoundError:
        raise GitError("git is not installed") from None
    except subprocess.TimeoutExpired:
        raise GitError(f"git did not answer within {ANSWER_S:.0f} s") from None
    except OSError as error:
        raise GitError(f"git cannot be run: {error.strerror}") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="backslashreplace").strip()  # with names of any bytes
        told = (said or f"it ended with {error.returncode}").splitlines()[0]
        raise GitError(f"git: {told.removeprefix('fatal: ')}") from error
    return os.fsdecode(done.stdout).strip()
