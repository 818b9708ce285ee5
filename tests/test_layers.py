"""Imports go one way, and each vendor has one door."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("osr_core", "sweeps", "analysis")
FROM_CORE = ("metrics", "errors", "identity", "data.splits")  # what analysis may use of the science
DOORS = {
    "ray": {
        "sweeps/running/cluster.py",
        "sweeps/running/searcher.py",
        "sweeps/running/trainable.py",
    },
    "mlflow": {"sweeps/tracking/tracker.py", "analysis/exports/write.py"},
    "torchvision": {"osr_core/vision.py"},
    "pydantic": {"sweeps/planning/spec.py"},
    "yaml": {"sweeps/planning/spec.py"},
    "sklearn": {"osr_core/data/digits.py", "analysis/figures/pmal.py"},
}


def imports(path: Path) -> set[str]:
    """Every module that a file imports, also inside functions and for type checkers."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def files(package: str) -> list[Path]:
    """The Python files of a package."""
    return sorted((ROOT / package).rglob("*.py"))


def breaches(package: str, forbidden: str, allowed: tuple[str, ...] = ()) -> list[str]:
    """Imports of `forbidden` in `package`."""
    return [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in files(package)
        for module in imports(path)
        if module.split(".")[0] == forbidden
        and not any(f"{forbidden}.{part}".startswith(module) for part in allowed)
        and not any(module.startswith(f"{forbidden}.{part}") for part in allowed)
    ]


def test_the_science_does_not_know_the_cluster():
    """`osr_core` must run where neither Ray nor MLflow is installed."""
    for forbidden in ("sweeps", "analysis", "ray", "mlflow", "pydantic", "optuna", "typer", "rich"):
        assert breaches("osr_core", forbidden) == []


def test_analysis_reads_results_and_no_more():
    """Tables must not depend on how results were made."""
    assert breaches("analysis", "sweeps") == []
    assert breaches("analysis", "osr_core", FROM_CORE) == []


def test_only_the_command_reaches_from_sweeps_to_analysis():
    """The orchestration does not know tables."""
    assert {line.split(" ")[0] for line in breaches("sweeps", "analysis")} <= {
        "sweeps/commands/app.py",
        "sweeps/commands/results.py",
    }


@pytest.mark.parametrize(("vendor", "doors"), DOORS.items(), ids=DOORS.keys())
def test_each_vendor_has_its_door(vendor: str, doors: set[str]):
    """Replacing a vendor must be a change of few files."""
    found = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in files(package)
        if any(module.split(".")[0] == vendor for module in imports(path))
    }
    assert found <= doors
