"""Trials that were not computed alike: what every table and figure says of them."""

import json

import pytest
from handmade import planned_trial, run_of, text_of, write_export
from paper_cells import text_of as paper_text
from paper_runs import cac_values, export_of

from analysis.exports.mixture import mixture
from analysis.figures.source import Source
from analysis.tables.comparison import compare
from analysis.tables.comparison_sheet import to_sheet
from analysis.tables.sheet import to_markdown
from analysis.tables.sweep_table import table

WORDS = "Not computed alike, which alone can move numbers: "
THREADS = f"{WORDS}threads 1 and 2 (fit)."


def made_on(threads=1, **facts):
    """What a trial of one fit says; its score takes one thread."""
    told = {"device": ["cpu"], "instruction_set": ["AVX2"], "threads": [threads]}
    score = {**told, "threads": [1]}
    return json.dumps({"fit": {**told, **facts}, "score": score})


def sweep(folder, datasets=("svhn", "svhn")):
    """Two rows; the fit of the second has two threads."""
    trials = [
        planned_trial(t, dataset=d, split=s)
        for t, d in zip("AB", datasets, strict=True)
        for s in (0, 1)
    ]
    runs = [run_of(t) | {"made_on": made_on(2 if t.title == "B" else 1)} for t in trials]
    return write_export(folder, trials, runs)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ([made_on(1), made_on(2)], THREADS),
        ([made_on(2), made_on(2)], ""),  # fits alike, and scores alike
        ([made_on(1), None], ""),  # of one nothing is known
        ([made_on(10), made_on(9)], f"{WORDS}threads 9 and 10 (fit)."),
        (
            [made_on(instruction_set=["AVX512"], device=["cuda"]), made_on()],
            f"{WORDS}device cpu and cuda (fit); instruction set AVX2 and AVX512 (fit).",
        ),
        ([made_on(pillow=["11"]), made_on(pillow=["12"])], f"{WORDS}pillow 11 and 12 (fit)."),
        ([made_on(hardware=["A", "B"])], f"{WORDS}hardware A and B (fit)."),  # of an ensemble
    ],
)
def test_what_differs_within_a_kind_of_stage_is_named(told, said):
    """A fit beside a score with other resources is no mixture: all trials have both."""
    assert mixture([{"made_on": each} for each in told]) == said


def test_a_sweep_s_table_says_it_for_those_that_it_shows(tmp_path):
    """In every format for people, and in JSON; a dataset alone is no mixture."""
    made = table(sweep(tmp_path, ("svhn", "digits")))
    assert THREADS in text_of(made)
    assert json.loads(text_of(made, "json"))["mixture"] == THREADS
    assert WORDS not in text_of(made, "latex")  # a float for each dataset
    assert WORDS not in text_of(table(tmp_path, datasets=["digits"]))


def test_a_comparison_says_it(tmp_path):
    """Of the trials that are paired."""
    made = compare([sweep(tmp_path)])
    assert THREADS in to_markdown(to_sheet(made))


def test_a_paper_s_table_says_it(tmp_path):
    """Below the whole table."""
    threads = {"Softmax": 1, "CAC": 2}
    values = [v for v in cac_values() if v[1] in threads]
    export_of(tmp_path, "cac-table2", values, lambda _, title: {"made_on": made_on(threads[title])})
    assert THREADS in paper_text("cac2", tmp_path)


def test_a_figure_about_several_trials_says_it(tmp_path):
    """At the end of its foot."""
    source = Source.open(sweep(tmp_path))
    assert source.rests_on(source.trials()).endswith(THREADS)
