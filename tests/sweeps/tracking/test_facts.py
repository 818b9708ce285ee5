"""What is said of a trial comes from its sweep's own plan, whoever made its result."""

import pyarrow.parquet as pq
import pytest

from analysis.exports.write import export
from sweeps.home import Home
from sweeps.tracking.synchronise import synchronise
from sweeps.tracking.tracker import make_tracker
from tests.sweeps.tracking.test_arrival import finished

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def exported(home: Home, **spec: str) -> list[tuple[str, str, int]]:
    """Sweep, protocol and split of each row that a sweep exports once its stages are done."""
    plan, store = finished(home, **spec)
    name = plan.spec.name
    assert synchronise(plan, store, home, "1a2b3c4") == len(plan.stages)
    export(home.tracking_uri, name, home.export(name))
    rows = pq.read_table(home.export(name) / "runs.parquet").to_pylist()
    return [(row["sweep"], row["protocol"], row["split"]) for row in rows]


@pytest.mark.parametrize("second", ["late", "other"])
def test_two_protocols_with_equal_classes_give_each_sweep_its_own_rows(home: Home, second: str):
    """Osrci and cac have the same digits, hence equal ids; only the record tells them apart."""
    first = exported(home, protocol="osrci")
    assert first == [("late", "osrci", 0), ("late", "osrci", 1)]
    later = exported(home, protocol="cac", name=second)
    assert later == [(second, "cac", 0), (second, "cac", 1)]
    if second == "other":
        assert exported(home, protocol="osrci") == first


def test_mlflow_shows_the_protocol_of_the_plan_that_is(home: Home):
    """A run's parameters cannot be changed, so that of the other plan gives way to a new one."""
    exported(home, protocol="osrci")
    exported(home, protocol="cac")
    plan, store = finished(home, protocol="cac")
    runs = make_tracker(plan, store, home, "1a2b3c4").found.all_runs()
    shown = [run.data.params["protocol"] for run in runs if run.data.tags["kind"] == "score"]
    assert shown == ["cac", "cac"]
    assert len(runs) == 1 + len(plan.stages)
