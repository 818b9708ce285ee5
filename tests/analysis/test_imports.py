"""A table needs no more than it must."""

import subprocess
import sys

import pytest
from stored_figures import EXPORTS

from tests.test_layers import ROOT

HEAVY = {"torch", "scipy", "sklearn", "matplotlib", "mlflow", "ray"}


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
