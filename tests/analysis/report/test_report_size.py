"""A page about five hundred trials can still be mailed."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from handmade import plan_of, planned_trial, run_of, runs_table
from test_report import history, opened

from analysis.exports.schema import HISTORY, RUNS, SCORES, scores_schema
from analysis.report.page import report
from tests.browser import needs_chromium

__all__ = ["opened"]
METHODS, DATASETS, SPLITS = 20, 5, 5  # 500 trials
CLASSES, IMAGES = 10, 200  # known classes of a split; test images


def trial_scores(trial, number):
    """Half known, half unknown images; methods differ in how well they tell them apart."""
    random = np.random.default_rng(number)
    label = np.where(np.arange(IMAGES) % 2, -1, random.integers(0, CLASSES, IMAGES))
    rows = {
        "trial_id": [trial.trial_id] * IMAGES,
        "image_id": [f"toys/test/{place}" for place in range(IMAGES)],
        "label": label,
        "predicted": np.where(random.random(IMAGES) < 0.8, np.maximum(label, 0), 1),
        "unknown_score": random.normal(size=IMAGES) + (label < 0) * (1 + number % METHODS / 10),
        "logits": [[0.0] * CLASSES] * IMAGES,
        "class_name": [f"class number {k}" for k in label],
    }
    return pa.table(rows, schema=scores_schema())


def epochs():
    """600 epochs of three terms of each method on each dataset."""
    rows = [
        (f"f{number}", f"method {number}", epoch, metric, 1 / epoch)
        for number in range(METHODS)
        for epoch in range(1, 601)
        for metric in ("train/a", "train/b", "val/accuracy", "wall_s")
    ]
    return pa.concat_tables([history(rows, f"data{dataset}") for dataset in range(DATASETS)])


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """The page about 20 methods on 5 datasets with 5 splits each."""
    folder = tmp_path_factory.mktemp("exports")
    (folder / "a").mkdir()
    trials = [
        planned_trial(f"Method {number}", dataset=f"data{dataset}", split=split, alpha=1.0)
        for dataset in range(DATASETS)
        for number in range(METHODS)
        for split in range(SPLITS)
    ]
    values = np.random.default_rng(0).uniform(0.7, 0.99, len(trials))
    runs = [run_of(t, auroc=float(v)) for t, v in zip(trials, values, strict=True)]
    pq.write_table(runs_table(plan_of(trials), runs), folder / "a" / RUNS)
    tables = [trial_scores(trial, number) for number, trial in enumerate(trials)]
    pq.write_table(pa.concat_tables(tables), folder / "a" / SCORES)
    pq.write_table(epochs(), folder / "a" / HISTORY)
    return report(folder)


def test_five_hundred_trials_fit_into_five_megabytes(large):
    """With curves of all of them, and histogram, confusion and settings of each row."""
    assert large.count('class="plot"') >= DATASETS * 2 + METHODS * DATASETS
    assert large.count('<tr><th scope="row">method') >= METHODS * DATASETS * SPLITS
    assert len(large.encode()) < 5e6


@needs_chromium
@pytest.mark.parametrize("width", [1280, 390])
def test_large_page_opens_and_sorts(large, opened, width):
    """No wider than the window, and no word on the console."""
    tab = opened(large, width)
    tab.click("section table button", "AUROC")
    column = [float(cell) for cell in tab.column("AUROC")]
    assert len(column) == METHODS
    assert column == sorted(column, reverse=True)
    assert tab.value("document.documentElement.scrollWidth <= innerWidth")
    assert (tab.complaints, tab.foreign_hosts()) == ([], set())
