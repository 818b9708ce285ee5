"""What an earlier version left gives the same exports, byte for byte.

tests/golden/before/home.zip holds what the code of commit be463a5 left of spec.yaml beside it:
the store without weights, which no export reads, and the exported files. A change that moves a
byte of them must say why, and makes them anew with `osr run`. The one difference so far: the plan
in the metadata of runs.parquet now has what the spec changes of its recipe.
"""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from analysis.exports.parts import written
from analysis.exports.write import export
from osr_core.identity import canonical_json
from sweeps.home import Home
from sweeps.planning.data import plan_with_data
from sweeps.planning.spec import load_spec
from sweeps.store.store import Store
from sweeps.tracking.synchronise import synchronise

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
BEFORE = Path(__file__).parent / "golden" / "before"
AS_BEFORE = ("history", "scores", "mined", "embeddings")
CHANGES = {"backbone.width": 0.125, "training.epochs": 2}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, with_database: Callable[[Path], Path]) -> Home:
    """The home as it was left, with nothing in MLflow."""
    folder = with_database(tmp_path_factory.mktemp("before"))
    with zipfile.ZipFile(BEFORE / "home.zip") as packed:
        packed.extractall(folder)
    return Home(folder)


def test_the_exports_of_an_earlier_version_are_made_again_byte_for_byte(home: Home, tmp_path: Path):
    """Ids, markers, the picture in MLflow, the export: nothing on the way may change a result."""
    plan = plan_with_data(load_spec(str(BEFORE / "spec.yaml")), None)
    store = Store(home.store)
    assert store.committed(plan.stages) == set(plan.stages)
    assert synchronise(plan, store, home, "be463a5") == len(plan.stages)
    export(home.tracking_uri, plan.spec.name, tmp_path)
    for name in AS_BEFORE:
        made = (tmp_path / f"{name}.parquet").read_bytes()
        assert made == (home.root / "exports" / f"{name}.parquet").read_bytes(), name
    expected = runs_with_changes(home.root / "exports" / "runs.parquet", tmp_path / "expected")
    assert (tmp_path / "runs.parquet").read_bytes() == expected


def runs_with_changes(before: Path, after: Path) -> bytes:
    """The file as it was, but for the plan's new key: read, and written again to `after`."""
    runs = pq.read_table(before)
    plan = json.loads(runs.schema.metadata[b"plan"]) | {"changes": CHANGES}
    runs = runs.replace_schema_metadata({"plan": canonical_json(plan)})
    with written(after, runs.schema) as file:
        file.write_table(runs)
    return after.read_bytes()
