"""A plan for the data that is there, and for data that is not."""

from pathlib import Path

from osr_core.data import BENCHMARKS
from osr_core.data.tasks import fingerprints
from sweeps.planning.plan import Plan, make_plan
from sweeps.planning.spec import SweepSpec


def plan_with_data(spec: SweepSpec, data_root: Path | None) -> Plan:
    """The plan of a spec for the data under a root; DataError names every file that is missing."""
    found: dict[str, str] = {}
    for name in spec.datasets:
        found |= fingerprints(data_root, BENCHMARKS[name])
    return make_plan(spec, found)


def check_data(spec: SweepSpec, data_root: Path | None) -> None:
    """Decode every data set of a spec once, so that a broken file is found before any work."""
    for name in spec.datasets:
        pair = BENCHMARKS[name]
        pair.known.at(data_root, "train", pair.known.image_size)
        for reader in {pair.known, pair.unknown}:
            reader.at(data_root, "test", pair.known.image_size)


def placeholders(datasets: list[str]) -> dict[str, str]:
    """Fingerprints that stand for data which is not here, to count a plan without it."""
    made_of = [BENCHMARKS[name] for name in datasets]
    readers = {reader.name for b in made_of for reader in (b.known, b.unknown)}
    return {f"{name}/{subset}": "missing" for name in readers for subset in ("train", "test")}
