"""Which kinds of faults every submission meets."""

from pathlib import Path

# By file, why none of its tests is marked `brief`.
TOO_LONG = {
    "test_autoscaled.py": "Ray's own autoscaler; test_elastic.py has machines that come and go",
    "test_gauges_on_cluster.py": "no fault, a look at one sweep more",
    "test_killed_searches.py": "ten kills of a search of 12 candidates",
    "test_packed.py": "three sweeps of five fits; test_packing.py elsewhere has the rules",
    "test_shared_cluster.py": "minutes of two sweeps at once, to see how fair they are",
    "test_whole_cluster.py": "all at once; test_submit.py and test_cut_networks.py have parts",
}


def test_a_file_without_a_brief_test_has_a_reason() -> None:
    """Else a new kind of fault would be met by nobody until somebody runs all of them."""
    here = Path(__file__)
    files = {path.name: path.read_text() for path in here.parent.glob("test_*.py")}
    faults = {name for name, text in files.items() if "mark.faults" in text} - {here.name}
    marked = {name for name in faults if "mark.brief" in files[name]}
    assert faults - marked == TOO_LONG.keys()
