"""Two users, two sweeps that share a third of their fits, one cluster."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from ray.cluster_utils import Cluster

from sweeps.store.store import Store
from tests.faults.harness import ROOT, WAIT_S, Sweep, wait_until

SPEC = """\
name: {name}
datasets: [digits]
splits: [0, 1, 2, 3, 4]
seeds: [0, 1, 2]
backbone: {{width: 0.125}}
training: {{epochs: 1, batch_size: 64, warmup_epochs: 0}}
methods: {{softmax: {{}}, {own}: {{}}}}
"""
# In workers: a stage takes seconds whatever else the machine does, and notes whose it was and when.
SLOW = """
import sys

if any("default_worker.py" in each for each in sys.orig_argv):
    import json
    import time
    from sweeps.running import worker

    run_stage = worker.run_stage

    def noted(kind, config, context):
        since, checkpoint = time.time(), context.checkpoint
        result = run_stage(kind, config, context)
        time.sleep(max(0.0, since + {seconds} - time.time()))
        note = [checkpoint.workplace.fence.sweep, checkpoint.stage_id, kind, since, time.time()]
        with open({notes!r}, "a") as notes:
            print(json.dumps(note), file=notes)
        return result

    worker.run_stage = noted
"""
SLOTS, SECONDS = 4, 6.0

pytestmark = [
    pytest.mark.faults,
    pytest.mark.filterwarnings("ignore"),  # Ray's own of the clusters that it pretends
]


def notes_in(path: Path) -> list[tuple[str, str, str, float, float]]:
    """Sweep, stage, kind, begin and end of each attempt that came to its end."""
    return [tuple(json.loads(line)) for line in path.read_text().splitlines()]


def slot_seconds(notes: list[tuple[str, str, str, float, float]], *window: float) -> Counter[str]:
    """How long each sweep's stages had a slot in a stretch of time."""
    since, until = window
    had: Counter[str] = Counter()
    for sweep, _, _, began, ended in notes:
        had[sweep] += max(0.0, min(ended, until) - max(began, since))  # type: ignore[assignment]
    return had


def queue_of(sweep: Sweep) -> dict[str, dict[str, Any]]:
    """What `osr queue` tells programs, by sweep."""
    done = sweep.osr("queue", "--json")
    assert done.returncode == 0, done.stderr
    return {row["sweep"]: row for row in json.loads(done.stdout)}


def test_two_sweeps_get_half_each_train_what_they_share_once_and_cancel_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Within 20 % of fair from when both run; hers ends without what she cancels, his is whole."""
    notes = tmp_path / "notes.txt"
    (tmp_path / "sitecustomize.py").write_text(SLOW.format(seconds=SECONDS, notes=str(notes)))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    home = tmp_path / "home"
    hers = Sweep(home, SPEC.format(name="hers", own="cac"), {"OSR_BY": "anna@laptop"})
    his = Sweep(home, SPEC.format(name="his", own="cpn"), {"OSR_BY": "ben@desk"})
    store = Store(home / "store")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": 0})
    try:
        cluster.add_node(num_cpus=SLOTS)
        address = cluster.address
        at = ("--address", address)
        driver = hers.start(*at, "--reason", "Table 2")
        wait_until(lambda: notes.exists() and len(notes_in(notes)) >= SLOTS, "her first stages")
        other = his.start(*at)
        wait_until(lambda: any(note[0] == "his" for note in notes_in(notes)), "his first stage")
        both = max(note[4] for note in notes_in(notes))
        wait_until(
            lambda: max(note[4] for note in notes_in(notes)) > both + 12 * SECONDS, "a while"
        )
        told = queue_of(hers)
        had = slot_seconds(notes_in(notes), both, both + 12 * SECONDS)
        assert hers.osr("cancel", "hers", "--method", "cac").returncode == 0
        codes = driver.wait(WAIT_S), other.wait(WAIT_S)
    finally:
        cluster.shutdown()
    assert codes == (1, 0), hers.log
    assert had["hers"] / had.total() == pytest.approx(0.5, rel=0.2), had
    assert had.total() > 0.8 * SLOTS * 12 * SECONDS  # and the slots were in use
    assert (told["hers"]["by"], told["his"]["by"]) == ("anna@laptop", "ben@desk")
    assert (told["hers"]["reason"], told["his"]["reason"]) == ("Table 2", None)
    assert told["hers"]["cluster"] == told["his"]["cluster"] == address
    fits = Counter(note[1] for note in notes_in(notes) if note[2] == "fit")
    assert set(fits.values()) == {1}
    records = {name: store.sweep(name) or {} for name in ("hers", "his")}
    ids = {
        name: {each["stage_id"] for each in record["stages"]} for name, record in records.items()
    }
    assert ids["his"] <= store.committed(ids["his"])
    shared = ids["hers"] & ids["his"]
    assert len(shared) == 30  # a fit and a score for each of 15 trials
    assert shared <= store.committed(shared)
