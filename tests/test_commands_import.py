"""What each quick command imports: a library that it has no use for costs its user a second."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.store.store import Store

EXPORT = Path(__file__).parent / "golden" / "figures" / "exports" / "cac-table2"
SCRIPT = """
import sys
from sweeps.commands.app import main
try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""
FOR_WORK = {"matplotlib", "mlflow", "optuna", "ray", "scipy", "sklearn", "torchvision"}
WITHOUT_TORCH = ["--version", "--help", "status", "watch searched", "study searched"]
WITHOUT_TORCH += ["table cac2", "table cac-table2"]
WITH_TORCH = ["splits", "datasets", "methods", "schema", "plan digits", "plan digits_search"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the record of a sweep and with an export."""
    home = tmp_path_factory.mktemp("quick") / "home"
    record = {"sweep": "small", "trials": [], "stages": [], "leaves": {}}
    about = dict.fromkeys(("search_id", "method", "dataset", "select", "looks_at"), "a")
    search = {**about, "rules": ["a"], "space": {}, "planned": 1, "over": False, "candidates": []}
    search |= {"rungs": [], "shares": [1.0], "measures": [["a"]]}
    Store(home / "store").save_sweep("small", record)
    Store(home / "store").save_sweep("searched", {**record, "searches": [search]})
    shutil.copytree(EXPORT, home / "exports" / EXPORT.name)
    return home


def imported_by(command: str, home: Path) -> set[str]:
    """The packages that a process has imported by the end of `osr COMMAND`."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *command.split()],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OSR_HOME": str(home), "OSR_DATA": str(home)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {module.partition(".")[0] for module in done.stderr.split()}


@pytest.mark.parametrize("command", WITHOUT_TORCH)
def test_what_only_reads_results_does_not_import_torch(command: str, home: Path):
    """Neither a status nor a table computes with tensors."""
    assert imported_by(command, home).isdisjoint({"torch", "pandas", *FOR_WORK})


@pytest.mark.parametrize("command", WITH_TORCH)
def test_what_lists_and_plans_imports_no_library_of_the_work_itself(command: str, home: Path):
    """Methods and readers are made of torch; what fits, decodes or draws is not needed yet."""
    assert imported_by(command, home).isdisjoint(FOR_WORK)
