"""The library on a finished sweep: its tables, and what it has trained as detectors."""

import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

import sweeps
from osr_core.data.tasks import known_train, open_test
from osr_core.errors import ConfigError
from osr_core.fit import learnt_from
from osr_core.metrics import fpr95_known_positive
from sweeps.library.trained import images_to_accept
from sweeps.planning.plan import Plan
from tests.sweeps.command import TINY

ROOT = Path(__file__).parents[3]
# MLflow's own use of SQLAlchemy, in whose process the export is made
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")


@pytest.fixture(scope="module")
def sweep(tiny: tuple[Path, str]) -> sweeps.Sweep:
    """A finished one."""
    return sweeps.Sweep("tiny", home=tiny[0])


def images_of(plan: Plan, method: str) -> torch.Tensor:
    """The test images of a trial, as its score stage sees them."""
    config = next(trial for trial in plan.trials if trial.method == method).score.config
    return open_test(None, config["test"], image_size=16, channels=1).images[:]


def test_its_tables_are_the_files_of_the_export(sweep: sweeps.Sweep):
    """A notebook and `osr export` must not differ."""
    folder = sweep.home.root / "exports" / "tiny"
    assert sweep.runs.to_pylist() == pq.read_table(folder / "runs.parquet").to_pylist()
    assert sweep.scores.num_rows == pq.read_metadata(folder / "scores.parquet").num_rows
    assert set(sweep.history["metric"].to_pylist()) >= {"wall_s"}


def test_run_goes_on_where_the_command_has_ended(sweep: sweeps.Sweep):
    """Nothing is left to do, so nothing starts, and the results are the same."""
    again = sweeps.run(TINY, home=sweep.home.root, quiet=True)
    assert again.runs.equals(sweep.runs)
    assert again.table() == sweep.table()
    assert again._repr_markdown_() == sweep.table()


@pytest.mark.parametrize("method", ["softmax", "cac"])
def test_a_detector_gives_the_scores_of_its_trial(sweep: sweeps.Sweep, method: str):
    """The same weights on the same images: bit for bit what the export has."""
    plan = sweeps.plan(TINY)
    trial = next(trial for trial in plan.trials if trial.method == method)
    detector = sweeps.load(trial.id[:12], sweep="tiny", home=sweep.home.root)
    found = detector.predict(images_of(plan, method))
    rows = sweep.scores.filter(
        [each == trial.id for each in sweep.scores["trial_id"].to_pylist()]
    ).to_pydict()
    assert found.unknown_score.tolist() == rows["unknown_score"]
    assert found.label.tolist() == rows["predicted"]


def test_its_threshold_accepts_the_share_of_known_test_images(sweep: sweeps.Sweep):
    """Where no images were held out; then unknown ones are accepted as FPR95 says."""
    trial = next(trial for trial in sweeps.plan(TINY).trials if trial.method == "cac")
    detector = sweeps.load(trial.id, sweep="tiny", accept=0.95, home=sweep.home.root)
    assert detector.chosen_on.endswith("known test images")
    rows = sweep.scores.filter(
        [each == trial.id for each in sweep.scores["trial_id"].to_pylist()]
    ).to_pydict()
    label, score = torch.tensor(rows["label"]), torch.tensor(rows["unknown_score"])
    found = detector.predict(images_of(sweeps.plan(TINY), "cac"))
    assert (~found.rejected[label >= 0]).float().mean() >= 0.95
    assert float((~found.rejected[label < 0]).double().mean()) == fpr95_known_positive(score, label)
    assert (found.answer[found.rejected] == -1).all()


def test_held_out_images_come_before_test_images():
    """Where a fit held images out, the threshold is chosen on those: a fifth, none learnt from."""
    spec = {"name": "mine", "datasets": ["digits"], "splits": [0], "methods": {"mls": {}}}
    (trial,) = sweeps.plan({**spec, "training": {"validation": 0.2}}).trials
    images, what = images_to_accept(trial.score, None)
    fit = trial.score.inputs["model"]
    seen = {key: fit.config["backbone"][key] for key in ("image_size", "channels")}
    all_of_them = known_train(None, fit.config["task"], **seen)
    learnt, _ = learnt_from(all_of_them, fit.config)
    assert what == "held-out training images"
    assert len(images) == pytest.approx(0.2 * len(all_of_them), abs=3)
    assert len(images) + len(learnt) == len(all_of_them)
    together = torch.cat([images, learnt.images[:]]).flatten(1)
    ordered = sorted(map(bytes, together.numpy()))
    assert ordered == sorted(map(bytes, all_of_them.images[:].flatten(1).numpy()))


def test_images_that_a_calibration_has_read_are_not_taken_for_unread():
    """k-NN keeps held-out images, too: each would be its own nearest neighbour."""
    spec = {"name": "mine", "datasets": ["digits"], "splits": [0], "methods": {"knn": {}}}
    (trial,) = sweeps.plan({**spec, "training": {"validation": 0.2}}).trials
    assert images_to_accept(trial.score, None)[1] == "known test images"


def test_words_that_mean_no_trial_or_several_are_told(sweep: sweeps.Sweep):
    """A detector of another trial would look as good."""
    with pytest.raises(ConfigError, match="in sweep 'tiny' trial 'cacc digits/0' does not exist"):
        sweeps.load("cacc digits/0", sweep="tiny", home=sweep.home.root)
    with pytest.raises(ConfigError, match="sweep 'tinny' does not exist"):
        sweeps.load("cac digits/0", sweep="tinny", home=sweep.home.root)


def test_a_spec_may_be_values_a_file_or_a_name():
    """What a notebook has at hand."""
    by_name = sweeps.load_spec("digits")
    values = {"name": "mine", "datasets": ["digits"], "splits": [0], "methods": {"cac": {}}}
    assert sweeps.load_spec(by_name) is by_name
    assert len(sweeps.plan(values).trials) == 1
    with pytest.raises(ConfigError, match=r"mine: .*'cacc'"):
        sweeps.load_spec({**values, "methods": {"cacc": {}}})


def test_importing_the_library_is_quick():
    """`import sweeps` alone reads neither torch nor Ray."""
    script = "import sweeps, analysis, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()).isdisjoint({"torch", "ray", "mlflow", "pyarrow"})
    assert {"run", "load", "Sweep"} <= set(dir(sweeps))


@pytest.mark.faults  # for its minute
@pytest.mark.brief
def test_the_first_sweep_of_the_docs_runs(tmp_path: Path):
    """As a user copies it: Ray is started, trains, and a detector decides."""
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "first_sweep.py"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "OSR_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert "known test images)" in done.stdout
    assert done.stdout.count(", score ") == 5
