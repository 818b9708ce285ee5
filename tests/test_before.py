"""What an earlier version left gives the same exports, byte for byte.

tests/golden/before/home.zip holds what the code of commit MADE_BY left of spec.yaml beside it:
the store without weights, which no export reads, and the exported files. A change that moves a
byte of them must say why, and makes them anew with `osr run`.
"""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis.exports.write import export
from sweeps.home import Home
from sweeps.planning.data import plan_with_data
from sweeps.planning.spec import load_spec
from sweeps.store.store import Store
from sweeps.tracking.synchronise import synchronise

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
BEFORE = Path(__file__).parent / "golden" / "before"
AS_BEFORE = ("runs", "history", "scores", "mined", "embeddings")
MADE_BY = "39626d8"


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
    assert synchronise(plan, store, home, MADE_BY) == len(plan.stages)
    export(home.tracking_uri, plan.spec.name, tmp_path)
    for name in AS_BEFORE:
        made = (tmp_path / f"{name}.parquet").read_bytes()
        assert made == (home.root / "exports" / f"{name}.parquet").read_bytes(), name
