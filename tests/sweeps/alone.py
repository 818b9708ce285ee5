"""Plans in a plain process, where nothing of the orchestration can be imported."""

import os
import subprocess
import sys
from pathlib import Path

from tests.sweeps.command import call_osr

ROOT = Path(__file__).parents[2]
ALONE = """
import runpy
import sys

ABSENT = {
    *("ray", "mlflow", "optuna", "pydantic", "typer", "rich", "yaml", "obstore", "jsonschema"),
    *("matplotlib", "pandas", "psutil", "sqlalchemy", "torchvision", "PIL", "sweeps", "analysis"),
}

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        absent = name.partition(".")[0] in ABSENT
        return None if absent else self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path = [Without(finder) for finder in sys.meta_path]
runpy.run_module("osr_core.batch", run_name="__main__")
"""


def started(plan: Path, store: Path, *more: str, script: str = ALONE) -> subprocess.Popen[str]:
    """A batch run in a process of its own, where nothing of the orchestration can be imported."""
    command = [sys.executable, "-c", script, str(plan), "--store", str(store), *more]
    variables = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=variables
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Its exit code, and what it printed."""
    printed, said = process.communicate(timeout=280)
    return process.returncode, printed + said


def planned(spec: Path, folder: Path) -> Path:
    """The plan of a spec for an empty home in a folder."""
    written = call_osr("plan", spec, "--output", folder / "plan.json", home=folder / "home")
    assert written.returncode == 0, written.stderr
    return folder / "plan.json"
