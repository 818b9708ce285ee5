"""The whole path with real processes: spec -> Ray Tune -> store -> MLflow -> Parquet -> table."""

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from itertools import product
from pathlib import Path

import mlflow
import pyarrow.parquet as pq
import pytest

from sweeps.store.store import Store
from tests.sweeps.command import GOLDEN, TINY, call_osr, run_osr

# Another CPU's instruction set rounds differently, and six short epochs amplify it. Where one of
# two splits moves up and the other down, their deviation moves by the root of 2 times as much.
TOLERANCE_PERCENT = 3.0
TOLERANCE_OF_DEVIATIONS = TOLERANCE_PERCENT * 2**0.5
DEVIATION = re.compile(r"± *(\d+\.\d+)")


def numbers(text: str) -> list[float]:
    """All numbers with a decimal in a text, but for the commit's and deviations."""
    means = DEVIATION.sub("", without_commit(text))
    return [float(number) for number in re.findall(r"\d+\.\d+", means)]


def deviations(text: str) -> list[float]:
    """All that stand behind a plus-minus."""
    return [float(number) for number in DEVIATION.findall(text)]


def without_numbers(text: str) -> str:
    """A table's frame: marks, spaces and numbers aside."""
    return re.sub(r"[\s*\-]+", " ", re.sub(r"\d+\.\d+", "#", without_commit(text)))


def without_commit(text: str) -> str:
    """The header names the commit, which differs from the stored one."""
    return re.sub(r"commit .*", "commit", text)


def test_the_tiny_sweep_gives_the_stored_table(tiny: tuple[Path, str]):
    """Remake it with `osr run tests/golden/tiny.yaml` after a change that moves numbers."""
    home, _ = tiny
    table = call_osr("table", "tiny", home=home).stdout
    stored = (GOLDEN / "tiny.md").read_text()
    assert without_numbers(table) == without_numbers(stored)
    for found, most in ((numbers, TOLERANCE_PERCENT), (deviations, TOLERANCE_OF_DEVIATIONS)):
        both = zip(found(table), found(stored), strict=True)
        assert max(abs(ours - theirs) for ours, theirs in both) <= most


def test_run_prints_the_table_and_where_everything_lies(tiny: tuple[Path, str]):
    """A user should not have to look for results."""
    home, printed = tiny
    assert "10 of 10 trials done" in printed
    assert "| method" in printed
    assert f"sqlite:///{home}/mlflow/mlflow.db" in printed
    assert "osr ui" in printed


def test_a_second_launch_starts_nothing(tiny: tuple[Path, str]):
    """What is on the store is done."""
    home, _ = tiny
    again = call_osr("run", TINY, home=home)
    assert "this launch started 0 of 22 stages" in again.stdout
    assert again.returncode == 0


def test_an_extended_spec_starts_only_what_is_new(tiny: tuple[Path, str], tmp_path: Path):
    """OpenMax with another tail must re-use the classifier and everything else."""
    home, _ = tiny
    extended = tmp_path / "tiny.yaml"
    extended.write_text(TINY.read_text().replace("openmax: {}", "openmax: {tail: [10, 20]}"))
    planned = json.loads(call_osr("plan", extended, "--json", home=home).stdout)
    assert (planned["done"], planned["to_run"]) == (22, 4)
    assert planned["kinds"]["fit"] == 8


def test_a_fresh_home_gives_the_same_bytes(tiny: tuple[Path, str], tiny_alone: Path):
    """Seeds come from what a trial is, so runs and scores are reproducible to the byte."""
    for name in ("runs.parquet", "scores.parquet", "mined.parquet", "embeddings.parquet"):
        first = (tiny[0] / "exports" / "tiny" / name).read_bytes()
        assert (tiny_alone / "exports" / "tiny" / name).read_bytes() == first, name


def test_the_export_has_a_row_for_every_trial_image_and_epoch(tiny: tuple[Path, str]):
    """Nothing is lost on the way through MLflow."""
    home, _ = tiny
    folder = home / "exports" / "tiny"
    assert pq.read_table(folder / "runs.parquet").num_rows == 10
    scores = pq.read_table(folder / "scores.parquet")
    assert scores.num_rows == 10 * len(set(scores["image_id"].to_pylist()))
    history = pq.read_table(folder / "history.parquet").to_pylist()
    assert {row["epoch"] for row in history} == {1, 2, 3, 4, 5, 6}
    assert len({row["stage_id"] for row in history}) == 8


def test_the_export_has_what_the_papers_figures_show(tiny: tuple[Path, str]):
    """From the stages through the store and MLflow, with nothing made by hand."""
    home, _ = tiny
    folder = home / "exports" / "tiny"
    runs = pq.read_table(folder / "runs.parquet").to_pylist()
    sizes = {run["title"]: run["num_parameters"] for run in runs}
    assert sizes["PMAL"] == sizes["OpenMax"] == sizes["Softmax"] > 10_000
    scores = pq.read_table(folder / "scores.parquet").to_pylist()
    assert {row["class_name"] for row in scores if row["label"] < 0} == set(
        "1234678"
    )  # of both splits
    mined = pq.read_table(folder / "mined.parquet").to_pylist()
    per_class = Counter((row["split"], row["label"]) for row in mined if row["prototype"])
    assert per_class == dict.fromkeys(product((0, 1), range(6)), 10)
    embedded = pq.read_table(folder / "embeddings.parquet").to_pylist()
    kinds = Counter((row["trial_id"], row["role"]) for row in embedded)
    for run in runs:
        expected = (445, 60) if run["title"] == "PMAL" else (0, 0)
        assert tuple(kinds[run["trial_id"], role] for role in ("image", "prototype")) == expected
    for name in ("cac4", "cac5", "pmal4a", "pmal4b", "pmal6"):
        drawn = call_osr("figure", name, "--sweep", "tiny", home=home)
        assert drawn.returncode == 0, drawn.stderr
        assert Path(drawn.stdout.strip()).read_bytes().startswith(b"\x89PNG")


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
def test_losing_mlflow_loses_nothing(tiny_alone: Path, tmp_path: Path):
    """Its database is a picture of the store: the next launch draws it again, and no run twice."""
    again = shutil.copytree(tiny_alone, tmp_path / "home")
    database, runs = again / "mlflow" / "mlflow.db", again / "exports" / "tiny" / "runs.parquet"
    before = runs.read_bytes()
    database.unlink()
    shutil.rmtree(again / "exports")
    done = call_osr("run", TINY, home=again)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "this launch started 0 of 22 stages" in done.stdout
    assert runs.read_bytes() == before
    client = mlflow.MlflowClient(f"sqlite:///{database}")
    found = client.search_runs([client.get_experiment_by_name("tiny").experiment_id])
    stage_ids = [stage["stage_id"] for stage in Store(again / "store").sweep("tiny")["stages"]]
    drawn = Counter(run.data.tags.get("stage_id") for run in found)
    assert drawn == dict.fromkeys([*stage_ids, None], 1)  # without one: the sweep's own


def test_status_tells_what_is_done(tiny: tuple[Path, str]):
    """After the fact, from the store alone."""
    home, _ = tiny
    status = json.loads(call_osr("status", "--json", home=home).stdout)
    (sweep,) = status["sweeps"]
    assert (sweep["sweep"], sweep["trials_done"], sweep["stages_done"]) == ("tiny", 10, 22)
    assert status["drivers"] == status["begun"] == status["failures"] == []


def test_a_home_without_sweeps_says_so(tmp_path: Path):
    """As a launch that was refused leaves one."""
    Store(tmp_path / "store")
    assert "no sweep has been run" in call_osr("status", home=tmp_path).stdout


def test_a_table_that_is_not_there_is_answered_with_those_that_are(tiny: tuple[Path, str]):
    """A slip of the pen in a sweep's name."""
    refused = call_osr("table", "tony", home=tiny[0])
    assert refused.returncode == 2
    assert "Did you mean 'tiny'?" in refused.stderr
    assert "osr export" in refused.stderr


def test_a_failed_stage_leaves_the_others_running(
    tmp_path: Path, with_database: Callable[[Path], Path]
):
    """A learning rate that explodes: its trials are missing and say why; the rest have numbers."""
    spec = tmp_path / "half.yaml"
    spec.write_text(
        "name: half\ndatasets: [digits]\nsplits: [0]\nbackbone: {width: 0.125}\n"
        "training: {epochs: 1, warmup_epochs: 0}\n"
        "methods:\n  softmax: {training: {lr: 1.0e+30}}\n  mls: {}\n"
    )
    home = with_database(tmp_path / "home")
    done = run_osr("run", spec, home=home)
    assert done.returncode == 1
    assert "1 of 2 trials done" in done.stdout
    assert "missing softmax digits/0 seed 0: fit softmax digits/0 seed 0 failed" in done.stdout
    assert "not a finite number in epoch 1" in done.stdout
    assert "What failed says more: osr logs half --failed" in done.stdout
    status = json.loads(call_osr("status", "--json", home=home).stdout)
    (failure,) = status["failures"]
    assert failure["stage"] == "fit softmax digits/0 seed 0"
    assert failure["reason"] in failure["traceback"]


def test_two_specs_with_one_name_are_told_apart(tiny: tuple[Path, str], tmp_path: Path):
    """The second would mix its numbers into the first one's table."""
    home, _ = tiny
    other = tmp_path / "other.yaml"
    other.write_text(TINY.read_text().replace("epochs: 6", "epochs: 1"))
    refused = call_osr("run", other, home=home)
    assert refused.returncode == 2
    assert "the name 'tiny' stands for another sweep" in refused.stderr
    assert "which differs in training of the spec: 10 of its 10 trials" in refused.stderr
    assert "--replace" in refused.stderr
    foreseen = call_osr("plan", other, home=home)
    assert "the name 'tiny' stands for another sweep" in foreseen.stderr
    assert "another sweep" not in call_osr("plan", TINY, home=home).stderr


def test_a_bad_spec_exits_with_two_and_starts_nothing(tmp_path: Path):
    """All faults are named, and no folder is made."""
    spec = tmp_path / "bad.yaml"
    spec.write_text("name: bad\ndatasets: [digit]\nsplits: [0]\nmethods: {cca: {}}\n")
    done = call_osr("run", spec, home=tmp_path / "home")
    assert done.returncode == 2
    assert "Did you mean 'digits'?" in done.stderr
    assert "Did you mean 'cac'?" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "home").exists()


def test_missing_data_is_said_before_anything_starts(tmp_path: Path):
    """Which file, where it is looked for, and how to get it."""
    done = call_osr("run", "mnist_quick", "--data-root", tmp_path, home=tmp_path / "home")
    assert done.returncode == 2
    assert "train-images-idx3-ubyte" in done.stderr
    assert str(tmp_path) in done.stderr
    assert not (tmp_path / "home").exists()
