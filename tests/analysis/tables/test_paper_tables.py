"""What the papers' tables say of gaps, of variants and of what they rest on."""

import csv
import dataclasses
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from handmade import plan_of, runs_table
from paper_cells import printed_cells, text_of
from paper_runs import PMAL, cac_values, corrected_values, export_of

from analysis.exports.read import read_runs
from analysis.exports.schema import RUNS
from analysis.papers.layouts import LAYOUTS
from analysis.tables.paper_table import paper_table
from analysis.tables.render import FORMATS
from osr_core.errors import ConfigError


def test_gaps_name_the_command_that_fills_them(tmp_path):
    """A row of which trials are missing, a row that the sweep has not, and no export at all."""
    values = [v for v in cac_values() if v[1] in ("Softmax", "CAC") and v[0] != "svhn"]
    export_of(tmp_path, "cac-table2", values)
    path = tmp_path / "cac-table2" / RUNS
    runs = pq.read_table(path)
    pq.write_table(runs.slice(1), path)  # Softmax on MNIST loses its first split
    text = text_of("cac2", tmp_path)
    command = "fill with `osr run cac_table2`"
    assert f"- Softmax: missing MNIST 1/2, SVHN not in the sweep; {command}" in text
    assert f"- G-OpenMax\\*: not in the sweep; {command}" in text
    assert "0.979 (1/2) (0.978)" in text  # nor is half of it compared with the whole
    assert "is not exported; run `osr run pmal_table5`" in text_of("pmal5", tmp_path)


def test_unfinished_trial_belongs_to_its_own_network(tmp_path):
    """PMAL stands there twice; the small network's missing trial is no gap of the wide one's row,
    nor may the wide one's numbers stand for it.
    """
    values = [v for v in corrected_values() if v[0] == "svhn" and v[1] == "PMAL"]
    assert sorted(v[2] for v in values) == ["osrci", "wrn"]
    export_of(tmp_path, "pmal-table1", values)
    path = tmp_path / "pmal-table1" / RUNS
    runs = pq.read_table(path)
    wide = [json.loads(text)["name"] == "wrn" for text in runs["backbone"].to_pylist()]
    pq.write_table(runs.filter(pa.array(wide)), path)
    text = text_of("pmal1", tmp_path)
    (small,) = {line for line in text.splitlines() if line.startswith("- PMAL-OSCRI: ")}
    (large,) = {line for line in text.splitlines() if line.startswith("- PMAL-WRN: ")}
    assert "SVHN 0/2" in small
    assert "SVHN" not in large
    assert small.endswith("fill with `osr run pmal_table1`")
    assert printed_cells(text)["ACC", "PMAL-OSCRI", "SVHN"].startswith("- (")


def test_header_states_rule_n_protocol_and_commit(tmp_path):
    """What a number rests on stands above it."""
    export_of(tmp_path, "cac-table2", cac_values())
    assert (
        "sweep cac-table2, protocol cac, recipe published, selection none, n = 2 splits x 1 seeds, "
        "commit 1a2b3c4"
    ) in text_of("cac2", tmp_path)
    changes = {"training.epochs": 2}
    pq.write_table(runs_table(plan_of([], **changes), []), tmp_path / "cac-table2" / RUNS)
    assert "recipe common, changed (training.epochs=2), selection" in text_of("cac2", tmp_path)


def test_what_is_no_reproduction_is_marked_and_not_compared(tmp_path):
    """Three epochs at a tenth of the width against a published number say nothing."""
    export_of(tmp_path, "cac-table2", cac_values())
    path = tmp_path / "cac-table2" / RUNS
    runs, plan = read_runs(path.parent)
    altered = {"backbone.width": 0.1, "training.epochs": 3}
    plan = dataclasses.replace(plan, changes=altered, altered=altered)
    pq.write_table(runs_table(plan, runs.to_pylist()), path)
    text = text_of("cac2", tmp_path)
    assert "recipe published, changed (backbone.width=0.1, training.epochs=3), selection" in text
    (row,) = [line for line in text.splitlines() if line.startswith("| CAC")]
    assert row.count("‡") == 6
    assert "+" not in row
    assert "‡ not as the paper's spec has it (backbone.width=0.1, training.epochs=3): no" in text
    lines = list(csv.DictReader(text_of("cac2", tmp_path, "csv").splitlines()))
    assert {line["difference"] for line in lines} == {""}


def test_a_row_of_which_an_entry_was_changed_is_marked_alone(tmp_path):
    """The others are made as the paper's spec has them."""
    export_of(tmp_path, "cac-table2", cac_values())
    path = tmp_path / "cac-table2" / RUNS
    runs, plan = read_runs(path.parent)
    plan = dataclasses.replace(plan, altered={"methods.cac": "other settings"})
    pq.write_table(runs_table(plan, runs.to_pylist()), path)
    lines = list(csv.DictReader(text_of("cac2", tmp_path, "csv").splitlines()))
    compared = {line["row"] for line in lines if line["difference"]}
    assert "Softmax" in compared
    assert "CAC*" not in compared


def test_line_with_several_variants_shows_the_first_and_says_so(tmp_path):
    """A grid over a setting that the paper does not have must not be averaged into one row."""
    variants = [
        ("tinyimagenet", "PMAL", "osrci", PMAL | {"robustness": mode}, {"auroc": auroc})
        for mode, auroc in (("sqrt_n", 0.8), ("median", 0.6))
    ]
    export_of(tmp_path, "pmal-table3", variants)
    text = text_of("pmal3", tmp_path)
    assert "80.0 ± 0.1 (**83.1**, -3.1)" in text
    assert "- f: 2 settings of the sweep match; the first is shown" in text


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("format", FORMATS)
def test_every_table_prints_in_every_format_without_an_export(name, format, tmp_path):
    """The published values alone are worth printing."""
    text = text_of(name, tmp_path, format)
    assert "nothing of ours" in text
    assert len(text.splitlines()) > 3


def test_machine_formats_hold_the_difference(tmp_path):
    """And JSON the trials behind each cell."""
    export_of(tmp_path, "cac-table2", cac_values())
    lines = list(csv.DictReader(text_of("cac2", tmp_path, "csv").splitlines()))
    (line,) = [one for one in lines if (one["row"], one["column"]) == ("CAC*", "SVHN")]
    assert float(line["ours"]) == pytest.approx(0.938)
    assert float(line["difference"]) == pytest.approx(0, abs=1e-9)
    assert len(json.loads(text_of("cac2", tmp_path, "json"))["trials"]["CAC*/SVHN"]) == 2


def test_wrong_name_of_a_table_is_refused(tmp_path):
    """With the right ones."""
    with pytest.raises(ConfigError, match="There is: cac1, cac2"):
        paper_table("cac7", tmp_path)
