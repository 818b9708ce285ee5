"""A result names the commit that made it, or why it cannot."""

import os
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from sweeps.launch.code_version import code_version, tracked

PACKAGE = f"osr-sweeps {version('osr-sweeps')}"
pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder: Path, *words: str) -> str:
    """As its user types it."""
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "safe.directory=*")
    done = subprocess.run(
        ["git", "-C", str(folder), *who, *words], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The folder of a package in a repository with one commit."""
    folder = tmp_path / "checkout" / "sweeps" / "launch"
    folder.mkdir(parents=True)
    (folder / "code.py").write_text("1\n")
    git(tmp_path / "checkout", "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "first")
    return folder


def test_a_checkout_has_its_commit_and_a_changed_one_its_mark(checkout: Path):
    """As ever."""
    commit = git(checkout, "rev-parse", "--short", "HEAD")
    assert code_version(checkout) == commit
    (checkout / "code.py").write_text("2\n")
    assert code_version(checkout) == f"{commit}-dirty"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
def test_a_checkout_of_another_user_has_its_commit(checkout: Path):
    """Such as one that an administrator has installed, or a volume in a container."""
    for path in (checkout.parents[1], *checkout.parents[1].rglob("*")):
        os.chown(path, 12345, 12345)
    commit = git(checkout, "rev-parse", "--short", "HEAD")
    assert code_version(checkout) == commit
    (checkout / "code.py").write_text("2\n")
    assert code_version(checkout) == f"{commit}-dirty"


def test_a_failure_of_git_is_told(checkout: Path, monkeypatch: pytest.MonkeyPatch):
    """A result without a commit must not look like one of a released version."""
    (checkout.parents[1] / ".git" / "HEAD").write_text("nonsense")
    assert code_version(checkout).startswith(f"{PACKAGE} (commit unknown: git: not a git repo")
    monkeypatch.setenv("PATH", "")
    assert code_version(checkout) == f"{PACKAGE} (commit unknown: git is not installed)"


def test_names_of_any_bytes_end_no_command(checkout: Path):
    """Of a file that is sent to a cluster, and of a folder that git complains of."""
    odd = os.fsdecode(b"caf\xe9")
    (checkout / f"{odd}.py").write_text("1\n")
    git(checkout, "add", ".")
    assert [path.name for path in tracked(checkout) or ()] == [f"{odd}.py", "code.py"]
    moved = checkout.parents[1].rename(checkout.parents[2] / odd)
    (moved / ".git").rename(moved / "git")
    (moved / ".git").write_text(f"gitdir: {moved}/gone", errors="surrogateescape")
    told = code_version(moved / "sweeps" / "launch")
    assert told.startswith(f"{PACKAGE} (commit unknown: git: not a git repository: ")
    assert told.encode().decode().endswith("caf\\xe9/gone)")


def test_the_package_in_another_projects_repository_has_its_own_version(checkout: Path):
    """As in a virtual environment within it."""
    inner = checkout / "site-packages"
    inner.mkdir()
    (inner / "code.py").write_text("1\n")
    (checkout.parents[1] / ".gitignore").write_text("site-packages\n")
    assert code_version(inner) == PACKAGE


def test_no_repository_is_no_failure(tmp_path: Path):
    """An installed package lies in none."""
    assert code_version(tmp_path) == PACKAGE


def test_the_users_variables_name_no_other_repository(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A hook of another repository has GIT_DIR set to that."""
    commit = git(checkout, "rev-parse", "--short", "HEAD")
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert code_version(checkout) == commit
