"""The report: complete, self-contained, readable without a script and sortable with one."""

import re
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from handmade import plan_of, planned_trial, run_of, runs_table
from paper_runs import cac_values, export_of
from stored_figures import EXPORTS, scores

from analysis.exports.schema import HISTORY, LINKS, RUNS, SCORES, history_schema, links_schema
from analysis.report.cost import Cost, costs
from analysis.report.page import report
from analysis.report.surroundings import Surroundings
from osr_core.errors import DataError
from tests.browser import browser, needs_chromium

TRIALS = [planned_trial(title, split=split) for title in ("CAC", "MLS") for split in (0, 1)]
AUROC = (0.91, 0.93, 0.81, 0.83)
AROUND = Surroundings("https://mlflow.example:5000/")


def history(rows, dataset="svhn"):
    """A history of (stage, method, epoch, metric, value)."""
    own = {"sweep": "a", "dataset": dataset, "split": 0, "seed": 0, "member": 0}
    names = ("stage_id", "method", "epoch", "metric", "value")
    return pa.Table.from_pylist(
        [{**own, **dict(zip(names, row, strict=True))} for row in rows], schema=history_schema()
    )


def write_sweep(exports, name="hand_made"):
    """Two methods on two splits, with scores, epochs and links."""
    folder = exports / name
    folder.mkdir(parents=True)
    runs = [run_of(trial, auroc=value) for trial, value in zip(TRIALS, AUROC, strict=True)]
    pq.write_table(runs_table(plan_of(TRIALS), runs), folder / RUNS)
    pq.write_table(pa.concat_tables([scores(trial, 1.5) for trial in TRIALS]), folder / SCORES)
    rows = [("f1", "cac", epoch, metric, 30.0) for epoch in (1, 2) for metric in ("loss", "wall_s")]
    pq.write_table(history(rows), folder / HISTORY)
    links = [
        {"stage_id": trial.trial_id, "kind": "score", "experiment_id": "7"}
        | {"run_id": f"run-{trial.split}"}
        for trial in TRIALS
    ]
    pq.write_table(pa.Table.from_pylist(links, schema=links_schema([])), folder / LINKS)


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    """One sweep of our own and one of a paper."""
    folder = tmp_path_factory.mktemp("exports")
    write_sweep(folder)
    export_of(folder, "cac-table3", [v for v in cac_values() if v[0] == "mnist"])
    pq.write_table(history([]), folder / "cac-table3" / HISTORY)
    pq.write_table(scores(TRIALS[0], 1).slice(0, 0), folder / "cac-table3" / SCORES)
    return folder


@pytest.fixture(scope="module")
def page(exports):
    """The page about one sweep."""
    return report(exports, ["hand_made"], AROUND)


def test_page_has_the_tables_numbers_and_every_trial(page):
    """What `osr table` prints, and what is behind it."""
    assert "92.0 ± 1.4" in page
    assert "82.0 ± 1.4" in page
    assert all(trial.trial_id[:8] in page for trial in TRIALS)
    assert page.count('<svg class="dots"') == 2
    assert page.count('aria-label="ROC"') == page.count('aria-label="OSCR"') == 1
    assert page.count('aria-label="Scores of ') == 2
    assert "1 min 0 s" in page


def test_number_leads_to_its_trials_and_a_trial_to_mlflow(page):
    """Two clicks from a cell to the run."""
    (anchor,) = set(re.findall(r'<a href="#([^"]+)"><strong>92\.0', page))
    group = page.split(f'<details id="{anchor}">')[1].split("</details>")[0]
    assert "CAC on svhn: 2 of 2 done" in group
    assert 'href="https://mlflow.example:5000/#/experiments/7/runs/run-1"' in group


def test_paper_table_stands_with_ours_and_absent_ones_name_their_command(exports):
    """A reader sees what is still to be run."""
    page = report(exports, ["cac-table3"])
    assert "0.998 ± 0.001</strong><small> (<strong>0.998</strong>, +0.000)</small></a>" in page
    assert "PMAL, Table 5: <code>osr run pmal_table5</code>" in page


def test_figures_of_a_paper_are_drawn_where_their_sweep_is_there(tmp_path):
    """Those whose artifacts are missing are left out; the page is made all the same."""
    for name in ("cac-fig2", "cac-fig3"):
        shutil.copytree(EXPORTS / name, tmp_path / name)
        pq.write_table(history([]), tmp_path / name / HISTORY)
        pq.write_table(scores(TRIALS[0], 1).slice(0, 0), tmp_path / name / SCORES)
    page = report(tmp_path)
    assert re.findall(r"<figcaption>CAC, Figure (\d)</figcaption>", page) == ["2", "3"]


def test_picture_of_one_trial_says_which_of_a_grid(tmp_path):
    """The first of two settings of a method is drawn, and is not the method."""
    trials = [planned_trial("CAC", alpha=alpha) for alpha in (5.0, 10.0)]
    (tmp_path / "a").mkdir()
    values = zip(trials, (0.8, 0.9), strict=True)
    runs = runs_table(plan_of(trials), [run_of(trial, auroc=value) for trial, value in values])
    pq.write_table(runs, tmp_path / "a" / RUNS)
    pq.write_table(pa.concat_tables([scores(t, 1.5) for t in trials]), tmp_path / "a" / SCORES)
    pq.write_table(history([]), tmp_path / "a" / HISTORY)
    page = report(tmp_path)
    assert "Scores of CAC (alpha=5) on svhn, split 0 seed 0" in page
    assert "Scores of CAC (alpha=10)" not in page
    assert 'CAC (alpha=5) <span class="quiet">(first of 2 settings)' in page
    assert "It is the best of 2 settings of its method by these same numbers" in page


def test_recipe_of_a_sweep_says_what_the_spec_changes(tmp_path):
    """As the header of its table does."""
    (tmp_path / "a").mkdir()
    runs = runs_table(plan_of(TRIALS, **{"backbone.width": 0.25}), [])
    pq.write_table(runs, tmp_path / "a" / RUNS)
    pq.write_table(history([]), tmp_path / "a" / HISTORY)
    assert "<dt>recipe</dt><dd>common, changed (backbone.width=0.25)</dd>" in report(tmp_path)


def test_only_planned_trials_are_counted(tmp_path):
    """As in the sweep's table, whatever else an older file has."""
    (tmp_path / "a").mkdir()
    runs = runs_table(plan_of(TRIALS[:2]), [run_of(trial) for trial in TRIALS[1:]])
    pq.write_table(runs, tmp_path / "a" / RUNS)
    pq.write_table(history([]), tmp_path / "a" / HISTORY)
    page = report(tmp_path)
    assert "<dt>trials</dt><dd>1 of 2 done</dd>" in page
    assert "CAC on svhn: 1 of 2 done" in page


def test_equal_exports_give_an_equal_page(exports, page):
    """No clock in it."""
    assert report(exports, ["hand_made"], AROUND) == page


def test_page_asks_for_nothing_from_anywhere(page):
    """Every source is inside, and the page itself forbids others."""
    assert set(re.findall(r'(?:src|@import|url\()[="\s]*(\w+:)', page)) <= {"data:"}
    assert "default-src 'none'" in page


def test_text_from_a_spec_is_escaped(tmp_path):
    """A method's title is a user's text."""
    trial = planned_trial("<script>alert(1)</script>")
    folder = tmp_path / "a"
    folder.mkdir()
    pq.write_table(runs_table(plan_of([trial]), []), folder / RUNS)
    pq.write_table(history([]), folder / HISTORY)
    page = report(tmp_path)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_shared_fit_costs_once():
    """A fit that ten trials use is one line of epochs; other metrics are not time."""
    rows = [("f1", "softmax", 1, "wall_s", 2.0), ("f1", "softmax", 2, "wall_s", 3.0)]
    rows += [("f2", "softmax", 1, "wall_s", 4.0), ("f3", "cac", 1, "wall_s", 10.0)]
    rows += [("f3", "cac", 1, "tuplet", 99.0)]
    assert costs(history(rows)) == (
        Cost("cac", "svhn", 1, 1, 10.0),
        Cost("softmax", "svhn", 2, 3, 9.0),
    )


def test_what_is_not_exported_is_named(tmp_path):
    """A sweep by name, or everything."""
    with pytest.raises(DataError, match="nothing is exported"):
        report(tmp_path)
    with pytest.raises(DataError, match="not exported: a, b"):
        report(tmp_path, ["a", "b"])


# -- in a browser ----------------------------------------------------------------------------------


@pytest.fixture
def opened(tmp_path):
    """Opens a page in Chromium, as a file."""
    with browser(tmp_path) as tab:

        def open_page(page, width=1280):
            (tmp_path / "page.html").write_text(page, encoding="utf-8")
            tab.size(width, 900)
            tab.open((tmp_path / "page.html").as_uri())
            tab.wait_for("document.readyState === 'complete'")
            return tab

        yield open_page


@needs_chromium
@pytest.mark.parametrize("width", [1280, 390])
def test_page_works_in_a_browser(page, opened, width):
    """Numbers and pictures are there, a column sorts both ways, nothing is complained about."""
    tab = opened(page, width)
    seen = [tab.column("AUROC")]
    for _ in range(2):
        tab.click("section table button", "AUROC")
        seen.append(tab.column("AUROC"))
    assert [[cell[:4] for cell in column] for column in seen] == [
        ["92.0", "82.0"],
        ["92.0", "82.0"],
        ["82.0", "92.0"],
    ]
    assert tab.value("document.documentElement.scrollWidth <= innerWidth")
    assert tab.value("document.querySelector('.plot').clientWidth > 200")
    assert (tab.complaints, tab.foreign_hosts()) == ([], set())


@needs_chromium
def test_browser_complains_of_a_foreign_source(page, opened):
    """So that silence above means something."""
    tab = opened(page.replace("</main>", '<img src="http://127.0.0.1:9/x.png"></main>'))
    assert any("Content Security Policy" in complaint for complaint in tab.complaints)
    assert not tab.all_pictures_are_shown()
