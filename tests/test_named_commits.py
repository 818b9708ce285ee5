"""Numbers shown with a commit can be made again: it is in the history, and it was clean."""

import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
RESULTS = sorted((ROOT / "benchmarks" / "results").glob("*.json"))
NAMED = re.compile(r"\bcommits? `?([0-9a-f]{7,40}(?:-dirty)?)\b")


def git(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What git says of this checkout."""
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)


def commits_in(path: Path) -> list[str]:
    """As a page names them in its text, or a result in its facts."""
    content = path.read_text(encoding="utf-8")
    return [json.loads(content)["commit"]] if path.suffix == ".json" else NAMED.findall(content)


@pytest.fixture(scope="module")
def history() -> None:
    """Skips where there is none to look in: an unpacked archive, a clone of the last commits."""
    try:
        answer = git("rev-parse", "--show-toplevel", "--is-shallow-repository").stdout.split()
    except FileNotFoundError:
        pytest.skip("git is not installed, so no commit can be looked up")
    if answer != [str(ROOT.resolve()), "false"]:
        pytest.skip("this is no full clone of the repository, so a commit may be missing here")


@pytest.mark.parametrize("path", [*PAGES, *RESULTS], ids=lambda path: path.name)
def test_every_commit_named_is_in_the_history(path: Path, history: None) -> None:
    """Of a commit that was rewritten nobody else can see the code, though a clone may."""
    named = {commit.removesuffix("-dirty") for commit in commits_in(path)}
    answers = {each: git("merge-base", "--is-ancestor", each, "HEAD").returncode for each in named}
    assert {each for each in named if answers[each] != 0} == set()


@pytest.mark.parametrize("path", [*PAGES, *RESULTS], ids=lambda path: path.name)
def test_no_number_is_of_a_changed_tree(path: Path) -> None:
    """What differed from its commit is gone."""
    assert [commit for commit in commits_in(path) if commit.endswith("-dirty")] == []


def test_commits_are_found_in_prose() -> None:
    """A pattern that finds none would let every page pass."""
    assert NAMED.findall("made by commit 718ffce-dirty: and commit `601d8d4`.") == [
        "718ffce-dirty",
        "601d8d4",
    ]
    assert len([each for path in PAGES for each in commits_in(path)]) > 3
