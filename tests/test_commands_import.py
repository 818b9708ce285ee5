"""What each quick command imports: a library that it has no use for costs its user a second."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from sweeps.store.store import Store

EXPORT = Path(__file__).parent / "golden" / "figures" / "exports" / "cac-table2"
SCRIPT = """
import json, sys
from sweeps.commands.app import main
imported = {}
for command in sys.argv[1:]:
    sys.argv = ["osr", *command.split()]
    try:
        main()
    except SystemExit as end:
        assert not end.code, command
    imported[command] = [*sys.modules]
print(json.dumps(imported), file=sys.stderr)
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


def check_imports(commands: Sequence[str], home: Path, unused: set[str]) -> None:
    """That a process which runs `osr` with one after the other never imports what they have no use
    for.
    """
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *commands],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OSR_HOME": str(home), "OSR_DATA": str(home)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    imported = json.loads(done.stderr.splitlines()[-1])  # behind what they have said
    assert [*imported] == [*commands]
    for command, modules in imported.items():
        assert unused & {module.partition(".")[0] for module in modules} == set(), command


def test_what_only_reads_results_does_not_import_torch(home: Path):
    """Neither a status nor a table computes with tensors."""
    check_imports(WITHOUT_TORCH, home, {"torch", "pandas", *FOR_WORK})


def test_what_lists_and_plans_imports_no_library_of_the_work_itself(home: Path):
    """Methods and readers are made of torch; what fits, decodes or draws is not needed yet."""
    check_imports(WITH_TORCH, home, FOR_WORK)
