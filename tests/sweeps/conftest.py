"""One real sweep for all tests that look at its results, and the same without Ray."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.sweeps.alone import ended, planned, started
from tests.sweeps.command import TINY, call_osr

# Ray's workers, the reaper and the painters look for modules too; a `ray.py` of notes is easily
# written.
OURS = ("sweeps", "osr_core", "analysis", "ray", "mlflow", "numpy", "torch", "psutil")


@pytest.fixture(scope="session")
def tiny(made_once: Callable[..., Path]) -> tuple[Path, str]:
    """The tiny sweep's home after one launch, and what was printed.

    It is launched in a folder whose modules have the names of ours, and note in a file `imported`
    beside the home that they are.
    """

    def make(folder: Path) -> None:
        imported = folder / "imported"
        for name in OURS:
            noted = f"open({str(imported)!r}, 'a').write('{name} ')\nraise SystemExit(7)\n"
            (folder / name).mkdir()
            (folder / name / "__init__.py").write_text(noted)
        (folder / "tiny.yaml").write_text(TINY.read_text())
        command = [Path(sys.executable).with_name("osr"), "run", "tiny.yaml", "--home", "home"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert not imported.exists(), imported.read_text()
        assert done.returncode == 0, done.stdout + done.stderr
        (folder / "printed.txt").write_text(done.stdout)

    folder = made_once("tiny", make)
    return folder / "home", (folder / "printed.txt").read_text()


@pytest.fixture(scope="session")
def tiny_alone(made_once: Callable[..., Path], with_database: Callable[[Path], Path]) -> Path:
    """Another home of the tiny sweep: a plain process ran its stages, in another order."""

    def make(folder: Path) -> None:
        home = with_database(folder / "home")
        plan = planned(TINY, folder)
        plan.write_text(json.dumps(last_first(json.loads(plan.read_text()))))
        code, printed = ended(started(plan, folder / "store"))
        assert code == 0, printed
        merged = call_osr("merge", folder / "store", home=home)
        assert merged.returncode == 0, merged.stderr
        launched = call_osr("run", TINY, home=home)
        assert launched.returncode == 0, launched.stdout + launched.stderr
        assert "this launch started 0 of 22 stages" in launched.stdout

    return made_once("tiny_alone", make) / "home"


def last_first(plan: dict[str, Any]) -> dict[str, Any]:
    """A plan whose last stage comes first, right after what it reads, and so on."""
    stages, turned = plan["stages"], {}

    def add(stage_id: str) -> None:
        for upstream in stages[stage_id]["identity"]["inputs"].values():
            add(upstream)
        turned[stage_id] = stages[stage_id]

    for stage_id in reversed(stages):
        add(stage_id)
    assert [*turned] != [*stages]
    return {**plan, "stages": turned}
