"""`osr import` and `osr weights` as a user types them, in one home, up to the tables."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import safetensors

import sweeps
from analysis.tables.paper_table import paper_table
from osr_core.errors import ConfigError
from sweeps.planning.plan import make_plan
from sweeps.planning.record import grown_trials
from sweeps.store.store import Store
from tests.plain import results
from tests.sweeps.command import call_osr

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
SPEC = """
name: imports
protocol: random
datasets: [digits]
splits: [0, 1]
backbone: {width: 0.1}
training: {epochs: 1, batch_size: 128, warmup_epochs: 0}
methods:
  mls: {}
  knn: {}
  cac: {}
"""
Scores = dict[str, Any]


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small sweep on two splits, of which nothing is run."""
    path = tmp_path_factory.mktemp("spec") / "imports.yaml"
    path.write_text(SPEC)
    return path


@pytest.fixture(scope="module")
def trained(spec: Path) -> dict[str, tuple[bytes, bytes]]:
    """By method, the weights that a fit leaves on split 0 and the scores that rest on it."""
    plan = sweeps.plan(spec)
    found = {}
    for trial in plan.trials:
        if trial.split.index == 0:
            *_, (model, left), (_, scored) = results(trial.score.walk())
            assert trial.score.inputs["model"] is model
            found[trial.method] = (
                left.artifacts["weights.safetensors"],
                scored.artifacts["scores.parquet"],
            )
    return found


@pytest.fixture(scope="module")
def home(
    spec: Path,
    trained: dict[str, tuple[bytes, bytes]],
    tmp_path_factory: pytest.TempPathFactory,
    with_database: Callable[[Path], Path],
) -> Path:
    """A home into which the networks of all methods were imported, and scores; it is exported."""
    home = with_database(tmp_path_factory.mktemp("home"))
    for method, (weights, scores) in trained.items():
        file = spec.with_name(f"{method}.safetensors")
        file.write_bytes(weights)
        spec.with_name(f"{method}.parquet").write_bytes(scores)
        options = ["--split", "0", "--method", method, "--licence", "MIT"]
        options += ["--anchors", "stored"] if method == "cac" else []
        done = call_osr("import", "weights", file, "--spec", spec, *options, home=home)
        assert done.returncode == 0, done.stderr
    file = spec.with_name("cac.parquet")
    options = ["--split", "0", "--method", "theirs", "--source", "a page"]
    done = call_osr("import", "scores", file, "--spec", "imports", *options, home=home)
    assert done.returncode == 0, done.stderr
    assert "theirs (imported) digits/0: accuracy" in done.stdout
    assert call_osr("export", "imports", home=home).returncode == 0
    return home


def scores_of(home: Path, title: str) -> Scores:
    """The rows of a trial in the export."""
    folder = home / "exports" / "imports"
    runs = pq.read_table(folder / "runs.parquet").to_pylist()
    (trial_id,) = [run["trial_id"] for run in runs if run["title"] == title]
    rows = pq.read_table(folder / "scores.parquet")
    rows = rows.filter(pc.equal(rows["trial_id"], trial_id))
    found: Scores = rows.drop_columns(["trial_id"]).to_pydict()
    return found


@pytest.mark.parametrize(
    ("method", "title"), [("mls", "MLS"), ("knn", "k-NN"), ("cac", "CAC"), ("cac", "theirs")]
)
def test_what_comes_back_gives_the_same_scores(
    method: str, title: str, home: Path, trained: dict[str, tuple[bytes, bytes]], tmp_path: Path
) -> None:
    """Bit for bit: a network or scores that went out and came in again."""
    (tmp_path / "a.parquet").write_bytes(trained[method][1])
    before = pq.read_table(tmp_path / "a.parquet").to_pydict()
    assert scores_of(home, f"{title} (imported)") == before


def test_tables_mark_imports_and_say_whence_they_come(home: Path) -> None:
    """No row of them may be read as our own training."""
    table = call_osr("table", "imports", home=home).stdout
    rows = [line for line in table.splitlines() if line.startswith("| ")][2:]
    assert len(rows) == 4
    assert all("(imported)" in row for row in rows)
    assert "- MLS (imported), digits/0: weights of mls.safetensors (sha256 " in table
    assert "nobody said from where, licence MIT" in table
    assert "from a page, licence not told" in table
    runs = pq.read_table(home / "exports" / "imports" / "runs.parquet").to_pylist()
    assert {json.loads(run["imported"])["what"] for run in runs} == {"weights", "scores"}
    assert {run["training"] for run in runs} == {"{}"}


def test_an_export_without_any_history_is_whole(home: Path) -> None:
    """Nobody here has seen these networks learn; the rest must come all the same."""
    history = pq.read_table(home / "exports" / "imports" / "history.parquet")
    assert history.num_rows == 0
    report = call_osr("report", home=home)
    assert report.returncode == 0, report.stderr
    assert "CAC (imported)" in (home / "report.html").read_text()


def test_a_network_goes_out_with_what_one_needs_to_use_it(home: Path, tmp_path: Path) -> None:
    """Normalisation, classes in the order of the logits, and every setting."""
    out = tmp_path / "out.safetensors"
    options = ["--sweep", "imports", "--output", out]
    done = call_osr("weights", "cac imported digits/0", *options, home=home)
    assert done.returncode == 0, done.stderr
    with safetensors.safe_open(out, framework="pt") as file:
        header = json.loads(file.metadata()["header"])
        mean = file.get_tensor("backbone.normalize.mean").tolist()
    known = sweeps.plan({"name": "x", "datasets": ["digits"], "splits": [0], "methods": {"cac": {}},
                         "protocol": "random"}).trials[0].split.known  # fmt: skip
    assert header["classes"] == [str(k) for k in sorted(known)]
    assert header["normalization"]["mean"] == mean
    assert header["method"]["name"] == "cac"
    assert header["imported"]["licence"] == "MIT"
    done = call_osr("weights", "theirs imported digits/0", *options, home=home)
    assert "only scores were imported" in done.stderr


def test_a_second_file_needs_a_name_of_its_own(home: Path, spec: Path) -> None:
    """Two networks in one row would be averaged."""
    file = spec.with_name("mls.safetensors")
    other = spec.with_name("other.safetensors")
    other.write_bytes(spec.with_name("knn.safetensors").read_bytes())
    options = ["--spec", spec, "--split", "0", "--method", "mls"]
    done = call_osr("import", "weights", other, *options, home=home)
    assert "'MLS (imported)' on digits/0 already, from mls.safetensors" in done.stderr
    again = call_osr("import", "weights", file, *options, "--anchors", "stored", home=home)
    assert again.returncode == 0, again.stderr


def test_what_does_not_fit_leaves_nothing_in_the_sweep(home: Path, spec: Path) -> None:
    """A split's number, a method and a file that are wrong are told before anything is kept."""
    store = Store(home / "store")
    before = store.sweep("imports")
    file = spec.with_name("mls.safetensors")
    for options, problem in (
        (["--method", "mls"], "has several: say --split, one of 0, 1"),
        (["--split", "1", "--method", "caac"], "'caac' does not exist. Did you mean 'cac'?"),
        (["--split", "1", "--method", "cac", "--anchors", "stored"], "anchors"),
        (["--split", "1", "--method", "mls", "--mean", "0.5"], "numbers with commas between them"),
    ):
        done = call_osr("import", "weights", file, "--spec", spec, *options, home=home)
        assert done.returncode == 2
        assert problem in done.stderr
    scores = spec.with_name("cac.parquet")
    options = ["--spec", "imports", "--split", "1", "--method", "theirs"]
    done = call_osr("import", "scores", scores, *options, home=home)
    assert "row" in done.stderr
    assert store.sweep("imports") == before


def test_imports_stay_in_the_sweep_when_its_spec_goes_on(home: Path, spec: Path) -> None:
    """They are no result of the spec, and a later `osr run` must not drop them."""
    record = Store(home / "store").sweep("imports")
    assert record is not None
    changed = spec.with_name("changed.yaml")
    changed.write_text(SPEC.replace("splits: [0, 1]", "splits: [0, 1, 2]"))
    plan = make_plan(sweeps.load_spec(changed), record["fingerprints"])
    kept = grown_trials(record, plan)
    assert [trial.id for trial in kept] == [trial["trial_id"] for trial in record["trials"]]
    assert all(trial.imported for trial in kept)


def test_a_papers_table_shows_no_import(home: Path, tmp_path: Path) -> None:
    """It stands for the paper's training, and nobody knows how others have trained."""
    (tmp_path / "cac-table2").symlink_to(home / "exports" / "imports")
    table = paper_table("cac2", tmp_path)
    filled = [each for grid in table.grids for line in grid.lines for each in line.filled]
    assert all(each.num_planned == 0 for each in filled)


def test_a_detector_of_an_import_decides(home: Path) -> None:
    """Its threshold is chosen on known test images: what it has learnt from nobody knows."""
    detector = sweeps.load("cac imported digits/0", sweep="imports", home=home)
    assert detector.chosen_on.endswith("known test images")
    with pytest.raises(ConfigError, match="only scores were imported"):
        sweeps.load("theirs imported digits/0", sweep="imports", home=home)
