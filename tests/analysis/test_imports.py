"""The rooms of `analysis` stand in an order, and a table needs no more than it must."""

import subprocess
import sys
from graphlib import TopologicalSorter

import pytest
from stored_figures import EXPORTS

from tests.test_layers import ROOT, files, imports

ROOMS = ("exports", "papers", "tables", "figures", "report")
HEAVY = {"torch", "scipy", "sklearn", "matplotlib", "mlflow", "ray"}
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in files("analysis")
}


@pytest.mark.parametrize("room", ROOMS)
def test_room_imports_only_what_stands_before_it(room):
    """Also inside functions and for type checkers: a reader goes from the first to the last."""
    later = ROOMS[ROOMS.index(room) + 1 :]
    breaches = [
        f"{name} imports {module}"
        for name, path in MODULES.items()
        if name.startswith(f"analysis.{room}.")
        for module in imports(path)
        if module.startswith(tuple(f"analysis.{other}" for other in later))
    ]
    assert breaches == []


def test_no_module_imports_itself_by_way_of_others():
    """A circle cannot be read from either end."""
    TopologicalSorter(
        {name: imports(path) & MODULES.keys() for name, path in MODULES.items()}
    ).prepare()


@pytest.mark.parametrize("name", ["cac-fig3", "cac2"])
def test_table_is_printed_without_what_trains_tests_and_draws(name, tmp_path):
    """They take seconds to import; only a comparison needs scipy, only a figure matplotlib."""
    (tmp_path / "exports").symlink_to(EXPORTS)
    program = (
        "import sys\n"
        "from sweeps.commands.app import app\n"
        f"app(['table', {name!r}, '--home', {str(tmp_path)!r}], standalone_mode=False)\n"
        f"print(sorted({HEAVY} & sys.modules.keys()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "| CAC" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"
