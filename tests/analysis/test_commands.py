"""`osr table`, `osr figure` and `osr report` on exports in a home."""

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from stored_figures import EXPORTS
from tracked import SWEEP, TRIALS
from typer.testing import CliRunner

from analysis.exports.schema import HISTORY, history_schema
from analysis.figures.draw import FIGURES
from osr_core.errors import ConfigError, DataError
from sweeps.commands.app import app
from sweeps.commands.results import image_loader, leave


@pytest.fixture
def home(tmp_path):
    """A home with one exported sweep."""
    shutil.copytree(EXPORTS / "cac-fig3", tmp_path / "exports" / "cac-fig3")
    shutil.copytree(EXPORTS / "cac-table2", tmp_path / "exports" / "cac-table2")
    return tmp_path


def osr(home, *words):
    """What a command prints; its own errors are raised."""
    options = ["--home", str(home)]
    return CliRunner().invoke(app, [*words, *options], catch_exceptions=False).output


def test_table_command_prints_sweeps_papers_and_comparisons(home):
    """One word says which."""
    assert "CAC (anchor=true, tuplet=false)" in osr(home, "table", "cac-fig3")
    assert osr(home, "table", "cac2", "--format", "csv").startswith("table,grid,row")
    rows = ["--row", "CAC (anchor=true, tuplet=true)", "--row", "CAC (anchor=false, tuplet=true)"]
    assert "Wilcoxon" in osr(home, "table", "compare", "cac-fig3", *rows)


def test_table_command_refuses_what_does_not_belong_together(home):
    """Instead of leaving it out silently."""
    with pytest.raises(ConfigError, match="only `osr table compare`"):
        osr(home, "table", "cac2", "cac-fig3")
    with pytest.raises(ConfigError, match="takes no --dataset"):
        osr(home, "table", "cac2", "--dataset", "svhn")
    with pytest.raises(ConfigError, match=r"'nothing' does not exist.*cac-fig3.*needs its export"):
        osr(home, "table", "nothing")


@pytest.mark.parametrize("words", ["table", "table compare cac-fig3", "figure roc", "report"])
def test_a_sweep_with_a_slip_is_told_from_one_without_results(home, words):
    """Each command that reads exports says what was meant, what there is, and how to make one."""
    told = "'cac-table' does not exist. Did you mean 'cac-table2'.* cac-fig3, .*osr export cac-tab"
    with pytest.raises(ConfigError, match=told):
        osr(home, *words.split(), "cac-table")


def test_every_sweep_without_an_export_is_named(home):
    """All at once, not one after each correction."""
    for words in (["table", "compare"], ["report"]):
        with pytest.raises(ConfigError) as told:
            osr(home, *words, "one", "cac-fig3", "other")
        assert [problem.split("'")[1] for problem in told.value.problems] == ["one", "other"]


@pytest.mark.parametrize("words", [["table", "digits_all"], ["figure", "roc", "digits_all"]])
def test_the_name_of_a_spec_leads_to_that_of_its_sweep(home, words):
    """They differ by a hyphen; also where the sweep has no export that would be near."""
    called = r"'digits_all' is a spec.* called 'digits-all'.*osr export digits-all"
    with pytest.raises(ConfigError, match=called):
        osr(home, *words)
    with pytest.raises(ConfigError) as told:
        osr(home, "table", "digits")  # a spec and its sweep of one name
    assert "is a spec" not in str(told.value)


def test_figure_command_says_where_the_picture_is(home):
    """Named by what it shows."""
    printed = osr(home, "figure", "histogram", "--sweep", "cac-table2", "--format", "svg").strip()
    assert printed == str(home / "figures" / "histogram-cac-table2.svg")
    assert (home / "figures" / "histogram-cac-table2.svg").read_bytes().startswith(b"<?xml")


def test_help_names_every_figure(home):
    """Those of the papers by the first and last of each."""
    told = osr(home, "figure", "--help")
    of_papers = {name for name in FIGURES if name.startswith(("cac", "pmal"))}
    named = {min(name for name in of_papers if name.startswith(p)) for p in ("cac", "pmal")}
    named |= {max(name for name in of_papers if name.startswith(p)) for p in ("cac", "pmal")}
    assert [name for name in {*FIGURES} - of_papers | named if name not in told] == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # MLflow's use of SQLAlchemy is old
def test_export_command_says_how_many_trials_are_missing(store, home, monkeypatch):
    """Who exports a sweep that still runs should not take its table for the whole."""
    monkeypatch.setenv("OSR_TRACKING_URI", store.uri)
    store.sweep(TRIALS)
    store.score(TRIALS[0])
    assert "2 of 3 trials are not finished; `osr table hand_made`" in osr(home, "export", SWEEP)
    for trial in TRIALS[1:]:
        store.score(trial)
    assert "not finished" not in osr(home, "export", SWEEP)


FIGURE = ("figure", "roc", "--sweep", "cac-table2")


@pytest.mark.parametrize("words", [FIGURE, ("report", "cac-fig3")], ids=["figure", "report"])
def test_output_goes_where_it_is_wanted(words, home):
    """Folders that are not there are made; where there can be no file, a sentence says why."""
    pq.write_table(history_schema().empty_table(), home / "exports" / "cac-fig3" / HISTORY)
    wanted = home / "a" / "b" / "made"
    assert osr(home, *words, "--output", str(wanted)).strip() == str(wanted)
    assert wanted.stat().st_size > 1000
    for path, why in ((home, "Is a directory"), (wanted / "c", "File exists|Not a directory")):
        with pytest.raises(ConfigError, match=f"{path} cannot be written: ({why}).*--output"):
            osr(home, *words, "--output", str(path))


@pytest.mark.parametrize(
    ("name", "begins"), [("f.pdf", b"%PDF"), ("f.SVG", b"<?xml"), ("f", b"\x89PNG")]
)
def test_a_figure_is_what_its_files_ending_says(home, name, begins):
    """f.pdf was a PNG, which no reader of PDF opens."""
    osr(home, *FIGURE, "--output", str(home / name))
    assert (home / name).read_bytes().startswith(begins)


def test_a_figure_of_no_known_ending_is_refused(home):
    """Unless a format is given."""
    with pytest.raises(ConfigError, match="format 'gif' does not exist"):
        osr(home, *FIGURE, "--output", str(home / "f.gif"))
    osr(home, *FIGURE, "--output", str(home / "f.gif"), "--format", "png")


def test_output_that_may_not_be_written_is_named(unprivileged):
    """Somebody else's folder."""
    with pytest.raises(ConfigError, match=r"/x\.png cannot be written: Permission denied"):
        leave(Path("/x.png"), b"")


def test_images_are_found_by_their_ids(tmp_path):
    """Digits come with scikit-learn: position 0 is a zero, and pictures differ."""
    first, second = image_loader(tmp_path)(["digits/test/0", "digits/test/1"])
    assert first.shape[2] == 1
    assert first.dtype == "uint8"
    assert (first != second).any()


def test_images_without_a_data_folder_are_asked_for():
    """Only where a dataset has files."""
    assert len(image_loader(None)(["digits/test/0"])) == 1
    with pytest.raises(DataError, match="--data-root"):
        image_loader(None)(["svhn/test/0"])
