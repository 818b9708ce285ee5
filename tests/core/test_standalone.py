"""The science runs without the orchestration: neither Ray nor MLflow nor the spec's libraries."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys
from importlib.abc import MetaPathFinder

class Closed(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"ray", "mlflow", "optuna", "pydantic", "typer", "sweeps"}:
            raise ImportError(f"{name} is not for osr_core")

sys.meta_path.insert(0, Closed())
import torch
from osr_core.backbones import resolve_backbone
from osr_core.data import benchmark
from osr_core.data.splits import class_split
from osr_core.data.tasks import fingerprints
from osr_core.methods import METHODS
from osr_core.recipes import Training
from osr_core.trial import Trial
from tests.plain import results

torch.set_num_threads(1)
method = METHODS["softmax"]
trial = Trial(
    method=method,
    config=method.Config(),
    split=class_split("digits", "random", 0),
    fingerprints=fingerprints(None, benchmark("digits")),
    backbone=resolve_backbone({"width": 0.1}, image_size=16, channels=1),
    training=Training(epochs=1),
    seed=0,
)
*_, (score, result) = results(trial.score.walk())
assert 0 <= result.metrics["test/auroc"] <= 1
print("done", *sorted(result.artifacts))
"""


def test_one_epoch_on_digits_needs_no_orchestration() -> None:
    """A plain process with these imports closed trains, scores and measures."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, cwd=ROOT)
    assert done.stderr == ""
    assert done.stdout.split() == ["done", "scores.parquet"]


FIRST = """
import importlib, sys
from pathlib import Path
import torch

for path in sorted(Path("osr_core").glob("*.py")):
    for name in [name for name in sys.modules if name.split(".")[0] == "osr_core"]:
        del sys.modules[name]
    importlib.import_module("osr_core" if path.stem == "__init__" else f"osr_core.{path.stem}")
"""


def test_any_file_beside_the_methods_may_be_imported_first() -> None:
    """A method may bring stages that need these; one that needs the methods would be half made."""
    done = subprocess.run([sys.executable, "-c", FIRST], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
