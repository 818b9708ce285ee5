"""The notebooks of the docs, cell by cell in one process, in their order and in one home."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all of them leave their results: the later ones go on with the first one's."""
    return tmp_path_factory.mktemp("notebooks")


SHOWN = """
def shown(value):
    if getattr(value, "empty", False):
        raise SystemExit("a cell shows a table without rows")
"""


def code_of(notebook: Path) -> str:
    """Its cells of code as a script, in which each value that a cell shows goes to `shown`."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return "\n".join(watched("".join(c["source"])) for c in cells if c["cell_type"] == "code")


def watched(cell: str) -> str:
    """The cell; if its last statement is an expression, `shown` gets its value."""
    tree = ast.parse(cell)
    if isinstance(last := tree.body[-1], ast.Expr):
        last.value = ast.Call(ast.Name("shown"), [last.value], [])
    return ast.unparse(tree)


@pytest.mark.faults  # for its minute
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
@pytest.mark.brief
def test_a_notebook_runs_from_top_to_bottom(notebook: Path, home: Path):
    """A reader who copies a cell must not be the first who runs it."""
    script = "if __name__ == '__main__':\n    import matplotlib\n    matplotlib.use('agg')\n"
    script = SHOWN + script + "".join(f"    {line}\n" for line in code_of(notebook).splitlines())
    (home / f"{notebook.stem}.py").write_text(script)
    done = subprocess.run(
        [sys.executable, home / f"{notebook.stem}.py"],
        capture_output=True,
        text=True,
        check=False,
        cwd=home,
        env={**os.environ, "OSR_HOME": str(home / "osr-home"), "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr


def test_a_notebook_holds_no_output():
    """Results of one machine, and its folders, are not to be read as everybody's."""
    for notebook in NOTEBOOKS:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        assert not any(cell.get("outputs") for cell in cells), notebook.name
