"""A benchmark is found by its name, and its result names the code and the processor."""

import subprocess
from pathlib import Path

import pytest
import torch

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


@pytest.mark.parametrize("name", [*benchmarks.SPEEDS, *benchmarks.CHOICES])
def test_each_name_has_its_measurement(name: str) -> None:
    """A wrong one would be found after hours of the others."""
    assert callable(benchmarks.module_of(name).measure)


def test_a_result_says_on_which_processor_it_was_found() -> None:
    """Numbers of one model of processor differ by the instructions that it has."""
    facts = benchmarks.machine()
    assert facts["cpu"]
    assert facts["instruction_set"] == torch.backends.cpu.get_cpu_capability()
