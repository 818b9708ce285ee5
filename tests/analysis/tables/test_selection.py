"""What tables, figures and papers' tables say of settings that a search has chosen."""

import csv
import dataclasses

import pytest
from handmade import BY_ORACLE, HELD_OUT, plan_of, planned_trial, run_of, text_of, write_export
from paper_runs import CAC

from analysis.exports.labels import changes_label
from analysis.exports.schema import Plan
from analysis.figures.source import Source, rests_on_trial
from analysis.tables import comparison_sheet, paper_sheet
from analysis.tables.comparison import compare
from analysis.tables.paper_table import paper_table
from analysis.tables.render import render
from analysis.tables.sweep_table import table

SEARCHED = "CAC (alpha=15.64)"
ORACLE = "CAC (alpha=3, ORACLE)"


def trials_of():
    """Rows that nobody, a search and an oracle have chosen."""
    return [
        planned_trial("CAC", alpha=10.0),
        planned_trial("CAC", alpha=15.635081932291683, selection=HELD_OUT),
        planned_trial("CAC", alpha=3.0, selection=BY_ORACLE),
    ]


@pytest.fixture
def folder(tmp_path):
    """An export of these."""
    trials = trials_of()
    return write_export(tmp_path, trials, [run_of(trial) for trial in trials])


def test_each_searched_row_says_rule_candidates_and_what_was_looked_at(folder):
    """Once for each, above the table; a reader need not guess which row is meant."""
    text = text_of(table(folder))
    assert text.index(f"- selection of {SEARCHED}: {HELD_OUT}") < text.index("| method")
    assert f"- selection of {ORACLE}: {BY_ORACLE}" in text
    assert "- selection of every other row: none" in text
    assert "selection ORACLE or held_out_classes_auroc or none, 1 split" in text


def test_row_that_a_search_has_chosen_too_counts_as_both(tmp_path):
    """The paper's values, which a search may find best: the header had "none, and ..." in one."""
    trial = planned_trial("CAC", selection=f"none, and {HELD_OUT}")
    text = text_of(table(write_export(tmp_path, [trial], [run_of(trial)])))
    assert "selection held_out_classes_auroc or none, 1 split" in text
    assert f"- selection of CAC: none, and {HELD_OUT}" in text


def test_header_shows_four_digits_of_what_a_sampler_drew(tmp_path):
    """Where all rows of a method share a setting, its header has it in their place."""
    trial = planned_trial("CAC", alpha=15.635081932291683, selection=HELD_OUT)
    plan = dataclasses.replace(plan_of([trial]), defaults={"cac": {"alpha": 10.0}})
    assert changes_label(plan) == "of CAC: alpha=15.64"


def test_sweep_without_a_search_says_only_none(tmp_path):
    """No line for each row that nobody searched."""
    text = text_of(table(write_export(tmp_path, [planned_trial("CAC")], [])))
    assert text.count("selection") == text.count("selection none") == 1


def test_row_that_an_oracle_chose_is_red_in_html(folder):
    """Its class is, which a page shows in red; nothing else is."""
    page = text_of(table(folder), "html")
    assert f'<tr class="oracle"><th scope="row">{ORACLE}' in page
    assert page.count('class="oracle"') == 1
    assert page.count('class="selection oracle"') == 1
    assert page.count('class="provenance oracle"') == 1


def test_latex_and_csv_say_how_each_row_was_chosen(folder):
    """A row that is copied from either keeps it."""
    made = table(folder)
    assert r"selection of CAC (alpha=3, ORACLE): oracle\_auroc (ORACLE" in text_of(made, "latex")
    lines = csv.DictReader(text_of(made, "csv").splitlines())
    ours = [line for line in lines if line["source"] == "ours"]
    assert {(line["method"], line["selection"]) for line in ours} == {
        ("CAC (alpha=10)", "none"),
        (SEARCHED, HELD_OUT),
        (ORACLE, BY_ORACLE),
    }


def test_comparison_says_how_its_rows_were_chosen(folder):
    """A row that is left out is not in the header either."""
    shown = ["CAC (alpha=10)", ORACLE]
    text = render(comparison_sheet.printable(compare([folder], shown)), "markdown")
    assert "selection ORACLE or none, commit" in text
    assert f"- selection of {ORACLE}: {BY_ORACLE}" in text
    assert "held_out" not in text


@pytest.mark.parametrize("said", ["none", HELD_OUT, BY_ORACLE])
def test_paper_s_table_says_how_ours_was_chosen(said, tmp_path):
    """A search may choose what the paper has; it is beside a value that was chosen otherwise."""
    trial = planned_trial("CAC", selection=said, **CAC)
    (tmp_path / "cac-table2").mkdir()
    write_export(tmp_path / "cac-table2", [trial], [run_of(trial)])
    text = render(paper_sheet.printable(paper_table("cac2", tmp_path)), "markdown")
    short = {"none": "none", HELD_OUT: "held_out_classes_auroc", BY_ORACLE: "ORACLE"}[said]
    assert f"selection {short}, n = 1 splits" in text
    assert (f"- selection of CAC\\*: {said}" in text) == (said != "none")
    assert ("| CAC\\* (ORACLE) |" in text) == (said == BY_ORACLE)


def test_foot_of_a_figure_names_an_oracle(folder):
    """A picture is shown without its table."""
    source = Source.open(folder)
    feet = [source.rests_on_trial(trial) for trial in source.trials()]
    assert ["selection ORACLE, commit" in foot for foot in feet] == [False, False, True]
    assert "selection held_out_classes_auroc, commit" in feet[1]
    assert "selection" not in feet[0]
    assert "selection ORACLE or held_out_classes_auroc or none, commit" in source.rests_on(
        source.trials()
    )
    last = source.trials()[2]
    assert "ORACLE" in source.rests_on_trials([last])
    assert "ORACLE" in rests_on_trial(last, "CAC", {})


def test_plan_of_an_earlier_export_has_chosen_nothing():
    """It names no selection of its trials."""
    trial = vars(planned_trial("CAC", alpha=1.0))
    trial = {name: value for name, value in trial.items() if name != "selection"}
    plan = Plan.from_json({**vars(plan_of([])), "trials": [trial]})
    assert plan.trials[0].selection == "none"
