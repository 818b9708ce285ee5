"""Imports go one way, each vendor has one door, and no file or function outgrows its noun."""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("osr_core", "sweeps", "analysis", "benchmarks")
FROM_CORE = (
    "metrics",
    "errors",
    "identity",
    "wording",
    "data.splits",
)  # what analysis may use of the science
BELOW = {  # what each room may import of its own package, besides itself
    "sweeps.store": (),
    "sweeps.planning": (),
    "sweeps.clusters": ("store", "planning"),
    "sweeps.running": ("store", "planning"),
    "sweeps.tracking": ("store", "planning", "running"),
    "sweeps.search": ("store", "planning", "running"),
    "sweeps.launch": ("store", "planning", "running", "tracking", "search"),
    "sweeps.commands": (
        *("store", "planning", "clusters", "running", "tracking", "search", "launch"),
    ),
    "sweeps.library": ("store", "planning", "launch", "tracking", "commands"),
    "analysis.exports": (),
    "analysis.papers": (),
    "analysis.tables": ("exports", "papers"),
    "analysis.figures": ("exports", "papers"),
    "analysis.library": ("tables", "figures"),
    "analysis.report": ("exports", "papers", "tables", "figures"),
}
OPEN_TO_ALL = {
    "sweeps": ("home", "environment", "signals", "addresses")
}  # files beside the rooms that import none
DOORS = {
    "ray": {
        "sweeps/clusters/jobs.py",
        "sweeps/clusters/ray_rules.py",
        "sweeps/running/cluster.py",
        "sweeps/running/events.py",
        "sweeps/running/gauges.py",
        "sweeps/running/ray_start.py",
        "sweeps/running/searcher.py",
        "sweeps/running/trainable.py",
    },
    "mlflow": {
        "sweeps/tracking/database.py",
        "sweeps/tracking/died.py",
        "sweeps/tracking/experiment.py",
        "sweeps/tracking/found_runs.py",
        "sweeps/tracking/points.py",
        "sweeps/tracking/search_runs.py",
        "sweeps/tracking/sending.py",
        "sweeps/tracking/synchronise.py",
        "sweeps/tracking/tracker.py",
        "analysis/exports/mlflow_runs.py",
    },
    "optuna": {
        "sweeps/search/journal.py",
        "sweeps/search/sampling.py",
        "analysis/figures/importance.py",
    },
    "obstore": {"sweeps/store/bucket.py"},
    "torchvision": {"osr_core/vision.py"},
    "jsonschema": {"sweeps/clusters/fields.py"},
    "timm": {"osr_core/backbones/from_timm.py"},
    "pydantic": {"sweeps/planning/spec.py", "sweeps/planning/resources.py"},
    "yaml": {"sweeps/planning/yaml_values.py"},
    "sklearn": {"analysis/figures/pmal.py"},
    "matplotlib": {
        *(
            f"analysis/figures/{name}.py"
            for name in ("style", "draw", "trial", "cac", "pmal", "search", "generated")
        ),
        "analysis/library/for_notebooks.py",
    },
}
LONGEST_FILE, LONGEST_FUNCTION = 300, 50  # lines


def files(package: str) -> list[Path]:
    """The Python files of a package."""
    return sorted((ROOT / package).rglob("*.py"))


def module_of(path: Path) -> str:
    """A file's name in an import."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for package in PACKAGES for path in files(package)}


@cache
def imports(path: Path) -> frozenset[str]:
    """Every module that a file imports, also inside functions and for type checkers."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in MODULES else node.module)
    return frozenset(found)


def breaches(package: str, forbidden: str, allowed: tuple[str, ...] = ()) -> list[str]:
    """Imports of `forbidden` in `package`."""
    return [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in files(package)
        for module in sorted(imports(path))
        if module.split(".")[0] == forbidden
        and not any(f"{module}.".startswith(f"{forbidden}.{part}.") for part in allowed)
    ]


def test_the_science_does_not_know_the_cluster():
    """`osr_core` must run where neither Ray nor MLflow is installed."""
    for forbidden in ("sweeps", "analysis", "ray", "mlflow", "pydantic", "optuna", "typer", "rich"):
        assert breaches("osr_core", forbidden) == []


def test_analysis_reads_results_and_no_more():
    """Tables must not depend on how results were made."""
    assert breaches("analysis", "sweeps") == []
    assert breaches("analysis", "osr_core", FROM_CORE) == []


def test_only_what_users_call_reaches_from_sweeps_to_analysis():
    """The orchestration does not know tables."""
    reaching = {line.split(" ")[0] for line in breaches("sweeps", "analysis")}
    names = ("run", "results", "report", "status", "study")
    assert reaching <= {
        *(f"sweeps/commands/{name}.py" for name in names),
        "sweeps/library/sweep.py",
    }


@pytest.mark.parametrize(("room", "below"), BELOW.items(), ids=BELOW.keys())
def test_a_room_imports_only_what_stands_below_it(room: str, below: tuple[str, ...]):
    """Who reads a room need not know those above it."""
    package, _, own = room.partition(".")
    allowed = {own, *below, *OPEN_TO_ALL.get(package, ())}
    reached = {
        f"{path.name} imports {module}"
        for path in files(room.replace(".", "/"))
        for module in imports(path)
        if module.startswith(f"{package}.") and module.split(".")[1] not in allowed
    }
    assert reached == set()


def test_every_file_of_a_package_with_rooms_is_in_a_room():
    """A file beside the rooms belongs to none of them."""
    for package in ("sweeps", "analysis"):
        rooms = {room.partition(".")[2] for room in BELOW if room.startswith(f"{package}.")}
        beside = {"__init__", "__main__", "specs", *OPEN_TO_ALL.get(package, ())}
        names = {path.relative_to(ROOT / package).parts[0] for path in files(package)}
        assert {name.removesuffix(".py") for name in names} == rooms | (
            beside & {name.removesuffix(".py") for name in names}
        )


def test_every_room_says_in_one_sentence_what_is_inside():
    """Its `__init__.py` holds that and nothing else."""
    for room in BELOW:
        (node,) = ast.parse((ROOT / room.replace(".", "/") / "__init__.py").read_text()).body
        assert isinstance(node, ast.Expr)
        assert isinstance(node.value, ast.Constant)
        assert str(node.value.value).count("\n") == 0


def test_no_module_imports_itself_by_way_of_others():
    """A circle cannot be read from either end; those for type checkers count."""
    graph = {name: imports(path) & (MODULES.keys() - {name}) for name, path in MODULES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize(("vendor", "doors"), DOORS.items(), ids=DOORS.keys())
def test_each_vendor_has_its_door(vendor: str, doors: set[str]):
    """Replacing a vendor must be a change of few files."""
    found = {
        str(path.relative_to(ROOT))
        for package in ("osr_core", "sweeps", "analysis")
        for path in files(package)
        if any(module.split(".")[0] == vendor for module in imports(path))
    }
    assert found <= doors


def lengths(path: Path) -> Iterator[tuple[str, int]]:
    """The functions of a file that are too long, and the file itself if it is."""
    text = path.read_text()
    if (lines := len(text.splitlines())) > LONGEST_FILE:
        yield str(path.relative_to(ROOT)), lines
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            if lines > LONGEST_FUNCTION:
                yield f"{path.relative_to(ROOT)}: {node.name}", lines


def test_no_file_and_no_function_outgrows_its_noun():
    """In the product, its benchmarks and its tests."""
    found = [
        long
        for package in (*PACKAGES, "tests")
        for path in files(package)
        for long in lengths(path)
    ]
    assert found == []
