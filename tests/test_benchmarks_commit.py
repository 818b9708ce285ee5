"""A benchmark's result names the code that was measured."""

import subprocess
from pathlib import Path

import pytest

from benchmarks import __main__ as benchmarks


def test_what_another_benchmark_wrote_is_no_change_of_the_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make bench` writes one result after the other; a changed line of code is a change."""
    results = tmp_path / "results"
    results.mkdir()
    (tmp_path / "code.py").write_text("1\n")
    (results / "first.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(benchmarks, "RESULTS", results)
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "One"]):
        subprocess.run(["git", *words], check=True)
    clean = benchmarks.commit()
    (results / "first.json").write_text('{"ms": 1}')
    assert benchmarks.commit() == clean
    (tmp_path / "code.py").write_text("2\n")
    assert benchmarks.commit() == f"{clean}-dirty"
