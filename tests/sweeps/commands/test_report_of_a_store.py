"""What `osr report` asks of the store: the stages behind a trial, and how much memory fits took."""

import pytest

from sweeps.commands.report import peaks_of, stages_of
from sweeps.home import Home
from sweeps.store.store import Store

STAGES = {"fit": [], "mine": ["fit"], "fit2": ["mine"], "score": ["fit2"], "other": ["fit"]}


@pytest.fixture
def home(tmp_path):
    """A home whose store knows one sweep and two fits of it."""
    store = Store(tmp_path / "store")
    rows = [{"stage_id": name, "inputs": inputs} for name, inputs in STAGES.items()]
    store.save_sweep("small", {"stages": rows})
    for name, machine in {
        "fit": {"peak_memory_megabytes": 500.0, "peak_gpu_memory_megabytes": 80.0},
        "fit2": {"peak_memory_megabytes": 600.0},
    }.items():
        store.commit(name, {}, {}, {}, started_at=0, wall_s=1, host="a", machine=machine)
    return Home(tmp_path)


def test_a_trial_needs_all_that_its_stages_wait_for(home):
    """Two fits, one after the other; another trial shares the first alone."""
    needed = stages_of(home, "small")
    assert needed["score"] == {"score", "fit2", "mine", "fit"}
    assert needed["other"] == {"other", "fit"}
    assert stages_of(home, "never run") == {}


def test_peak_is_of_the_gpu_where_there_was_one(home):
    """A stage that was cleaned away has none, and costs no page."""
    assert peaks_of(home, ["fit", "fit2", "gone"]) == {"fit": 80.0, "fit2": 600.0}


def test_store_in_a_bucket_is_not_asked(home):
    """It may not answer, and a page is made of exports."""
    away = Home(home.root, None, "s3://nowhere")
    assert (stages_of(away, "small"), peaks_of(away, ["fit"])) == ({}, {})
