"""The papers' tables: runs made from the printed values come out as what is printed."""

import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from paper_runs import (
    KEYS,
    PMAL,
    TABLES,
    cac_values,
    export_of,
    pmal3_values,
    pmal4_values,
    pmal5_values,
    pmal_values,
)

from analysis.exports.schema import RUNS
from analysis.papers.layouts import LAYOUTS
from analysis.papers.pmal import ALTERNATIVES
from analysis.tables.paper_sheet import RENDERERS, render
from analysis.tables.paper_table import paper_table
from osr_core.errors import ConfigError

CAC_TABLE = TABLES["cac"]
PMAL_TABLE = TABLES["pmal"]


def printed_cells(text):
    """Cells of the pipe tables of a Markdown text: by grid, row and column."""
    cells, grid, header = {}, "", []
    for line in text.splitlines():
        if line.startswith("## "):
            grid, header = line[3:], []
        elif line.startswith("| "):
            values = [value.strip() for value in line.strip("|").split(" | ")]
            if not header:
                header = values
            elif not set(line) <= set("|- "):
                cells |= {(grid, values[0], h): v for h, v in zip(header, values, strict=True)}
    return cells


def rows_of(name, folder):
    """The printed cells of a table made from an export under `folder`."""
    return printed_cells(render(paper_table(name, folder), "markdown"))


def marked(text, column, value):
    """`text` with the mark that the value has in its column: bold the best, italic the second."""
    best = sorted({v for v in column if v is not None}, reverse=True)
    stars = {0: "**", 1: "*"}.get(best.index(value), "")
    return f"{stars}{text}{stars}"


def expected(column, value, decimals, star=False):
    """A place whose ours and published are both `value`."""
    if value is None:
        return "- (-)"
    spread = f" ± {0.001 * 2**0.5 * (1 if decimals == 3 else 100):.{decimals}f}"
    ours = marked(f"{value:.{decimals}f}{spread}", column, value)
    theirs = marked(f"{value:.{decimals}f}", column, value) + r"\*" * star
    return f"{ours} ({theirs}, {0:+.{decimals}f})"


def test_cac_table_2_comes_out_as_printed(tmp_path):
    """Every cell, its gaps, the stars of distance-based methods, best and second best."""
    export_of(tmp_path, "cac-table2", cac_values())
    cells = rows_of("cac2", tmp_path)
    rows = CAC_TABLE["table2"]["rows"]
    assert len(cells) == len(rows) * 7  # six datasets and the name
    for name, row in rows.items():
        label = name + r"\*" * row["distance_based"]
        for column, value in row["auroc"].items():
            others = [other["auroc"][column] for other in rows.values()]
            assert cells["AUROC", label, column] == expected(others, value, 3)


def test_second_best_of_cac_table_2_are_those_that_its_text_names(tmp_path):
    """The one place where the source kept the paper's own italics."""
    export_of(tmp_path, "cac-table2", cac_values())
    cells = rows_of("cac2", tmp_path)
    for name, columns in CAC_TABLE["table2"]["italic_in_text(second_best)"].items():
        label = {"CAC": r"CAC\*"}.get(name, name)
        for column in columns:
            ours = cells["AUROC", label, column].split(" (")[0]
            assert ours.startswith("*0.")


def test_cac_table_3_comes_out_as_printed(tmp_path):
    """One accuracy stands for CIFAR+10 and CIFAR+50."""
    export_of(tmp_path, "cac-table3", cac_values())
    cells = rows_of("cac3", tmp_path)
    rows = CAC_TABLE["table3"]["rows"]
    for name, row in rows.items():
        for column, value in row.items():
            others = [other[column] for other in rows.values()]
            assert cells["closed set accuracy", name, column] == expected(others, value, 3)


def cac_facts(dataset, title):
    """What describes a dataset and its training, as CAC's Tables 1 and 4 have them."""
    (name,) = [name for name, key in KEYS.items() if key == dataset]
    row = CAC_TABLE["table1"]["rows"][name]
    training = CAC_TABLE["table4"]["rows"]["CIFAR*" if "CIFAR" in name else name]
    channels, size, _ = row[0].split("x")
    epochs = [count for _, count in training["phases"]]
    schedule = {"epochs": sum(epochs), "lr": 0.01, "drop_factor": 0.1}
    schedule["drops"] = [epochs[0] / sum(epochs)] if len(epochs) > 1 else []
    known, unknown = row[2:4]
    network = {"name": "osrci", "channels": int(channels), "image_size": int(size)}
    return {
        "num_known": known,
        "num_unknown": unknown,
        "openness": 1 - (2 * known / (2 * known + unknown)) ** 0.5,
        "backbone": json.dumps({**network, "dropout": training["dropout"]}),
        "training": json.dumps(schedule),
    }


def test_cac_table_1_comes_out_as_printed(tmp_path):
    """Sizes, numbers of classes and openness from the runs; images per class are the paper's."""
    export_of(tmp_path, "cac-table2", cac_values(), cac_facts)
    cells = rows_of("cac1", tmp_path)
    for name, row in CAC_TABLE["table1"]["rows"].items():
        found = [cells["datasets and their splits", name, c] for c in ("input", "known", "unknown")]
        assert found == [f"{value} ({value})" for value in (row[0], row[2], row[3])]
        assert cells["datasets and their splits", name, "openness %"] == f"{row[4]} ({row[4]})"
        per_class = cells["datasets and their splits", name, "train images / class"]
        assert per_class == f"- ({row[1]})"


def test_cac_table_4_comes_out_as_printed(tmp_path):
    """Phases are read from the schedule: drops are fractions of the epochs."""
    export_of(tmp_path, "cac-table2", cac_values(), cac_facts)
    cells = rows_of("cac4", tmp_path)
    phases = {"MNIST": "0.01 x 35", "SVHN": "0.01 x 50", "CIFAR\\*": "0.01 x 150 + 0.001 x 50"}
    phases["TinyImageNet"] = "0.01 x 500 + 0.001 x 300"
    for row, text in phases.items():
        found = cells["training of CAC", row, "learning rate x epochs"]
        assert found == f"{text} ({text})"
    assert cells["training of CAC", "TinyImageNet", "dropout"] == "0.3 (0.3)"


def pmal_rows(table, key):
    """Printed values of one metric as {row: {column: (value, star)}}, misprint put right."""
    rows = {
        row: {column: (value["v"], value["star"]) for column, value in metrics[key].items()}
        for row, metrics in PMAL_TABLE[table]["rows"].items()
    }
    if (table, key) == ("table1", "auroc"):
        rows["PROSER"] |= {"MNIST": (None, False), "SVHN": (94.3, False)}
    return rows


def corrected_values():
    """Table 1 with PROSER's 94.3 where it belongs."""
    for dataset, title, backbone, settings, values in pmal_values("table1"):
        if (title, dataset) == ("PROSER", "mnist"):
            continue
        if (title, dataset) == ("PROSER", "svhn"):
            values = {**values, "auroc": 0.943}
        yield dataset, title, backbone, settings, values


@pytest.mark.parametrize("table", ["table1", "table2"])
def test_pmal_tables_1_and_2_come_out_as_printed(table, tmp_path):
    """Every cell, the stars of values that were re-run, gaps, and the moved value's dagger."""
    values = corrected_values() if table == "table1" else pmal_values(table)
    export_of(tmp_path, f"pmal-{table}", list(values))
    cells = rows_of(f"pmal{table[-1]}", tmp_path)
    for key, title in (("acc", "ACC"), ("auroc", "AUROC")):
        rows = pmal_rows(table, key)
        for name, row in rows.items():
            for column, (value, star) in row.items():
                if value is None:  # a trial has both metrics, a paper's row may lack one
                    assert cells[title, name, column].endswith(" (-)")
                    continue
                others = [other[column][0] for other in rows.values()]
                wanted = expected(others, value, 1, star)
                if (name, column, key) == ("PROSER", "SVHN", "auroc"):
                    wanted = wanted.replace("94.3,", "94.3†,")
                assert cells[title, name, column] == wanted


def test_bold_rows_of_pmal_are_bold(tmp_path):
    """The paper prints its own rows in bold: they are the best of every column."""
    export_of(tmp_path, "pmal-table1", list(corrected_values()))
    export_of(tmp_path, "pmal-table2", list(pmal_values("table2")))
    for table, row in (("pmal1", "PMAL-WRN"), ("pmal2", "PMAL")):
        for (grid, name, column), text in rows_of(table, tmp_path).items():
            if name == row and grid in ("ACC", "AUROC") and column != "method":
                assert text.startswith("**")


def test_extra_parameters_are_counted_against_softmax(tmp_path):
    """K prototypes of D numbers for RPL and CPN, none for PMAL."""
    extra = {"Softmax": 0, "CPN": 2_048_000, "RPL": 2_049_000, "RPL++": 4_097_000, "PMAL": 0}

    def facts(dataset, title):
        return {"num_parameters": 25_000_000 + extra[title] // (1 if "lt" in dataset else 10)}

    export_of(tmp_path, "pmal-table2", list(pmal_values("table2")), facts)
    cells = rows_of("pmal2", tmp_path)
    for row, text in {"Softmax": "0", "CPN": "2M", "RPL": "2M", "RPL++": "4.1M"}.items():
        assert cells["extra parameters", row, "ImageNet-LT"].startswith(f"{text} (")
    assert cells["extra parameters", "CPN", "ImageNet-100"] == "0.2M (0.2M)"


def test_pmal_table_3_comes_out_as_printed(tmp_path):
    """Rows are found by their switches, not by their names."""
    export_of(tmp_path, "pmal-table3", pmal3_values())
    cells = rows_of("pmal3", tmp_path)
    rows = PMAL_TABLE["table3"]["rows"]
    others = [row["auroc"] for row in rows.values()]
    grid = "modules, TinyImageNet"
    for name, row in rows.items():
        assert cells[grid, name, "AUROC"] == expected(others, row["auroc"], 1)
        switches = [cells[grid, name, heading] for heading in ("HQ", "Div", "P2S")]
        on = [row["high_quality"], row["diversity"], row["point_to_set"]]
        assert switches == ["✓" if switch else "-" for switch in on]


def test_pmal_table_4_comes_out_as_printed(tmp_path):
    """Ours stands below the alternatives of each half."""
    export_of(tmp_path, "pmal-table4", pmal4_values(ALTERNATIVES))
    cells = rows_of("pmal4", tmp_path)
    rows = PMAL_TABLE["table4"]["rows"]
    for part in ("quality", "diversity"):
        grid = f"instead of {part}, TinyImageNet"
        shown = {key: row for key, row in rows.items() if key.startswith(part) or key == "Ours"}
        for key, row in shown.items():
            for name, heading in (("acc", "ACC"), ("auroc", "AUROC")):
                wanted = expected([other[name] for other in shown.values()], row[name], 1)
                assert cells[grid, key.split("/")[-1], heading] == wanted


def test_pmal_table_5_comes_out_as_printed(tmp_path):
    """The runs of the defaults stand in every list; the paper prints 83.1 for all but lambda_p."""
    export_of(tmp_path, "pmal-table5", pmal5_values())
    cells = rows_of("pmal5", tmp_path)
    for symbol in ("T", "epsilon", "U", "delta"):
        values = PMAL_TABLE["table5"][symbol]
        for value, auroc in values.items():
            found = cells[f"{symbol}, TinyImageNet", f"{symbol} = {value}", "AUROC"]
            assert found == expected(values.values(), auroc, 1)
    own = cells["lambda_p, TinyImageNet", "lambda_p = 1.0", "AUROC"]
    assert own == "**83.1 ± 0.1** (**82.9**, +0.2)"


def test_missing_places_name_the_command_that_fills_them(tmp_path):
    """A row of which trials are missing, a row that the sweep has not, and no export at all."""
    values = [v for v in cac_values() if v[1] in ("Softmax", "CAC") and v[0] != "svhn"]
    export_of(tmp_path, "cac-table2", values)
    path = tmp_path / "cac-table2" / RUNS
    runs = pq.read_table(path)
    pq.write_table(runs.slice(1), path)  # Softmax on MNIST loses its first split
    text = render(paper_table("cac2", tmp_path), "markdown")
    command = "fill with `osr run cac_table2`"
    assert f"- Softmax: missing MNIST 1/2, SVHN not in the sweep; {command}" in text
    assert f"- G-OpenMax\\*: not in the sweep; {command}" in text
    assert "0.979 (1/2) (0.978, +0.001)" in text
    assert "is not exported; run `osr run pmal_table5`" in render(
        paper_table("pmal5", tmp_path), "markdown"
    )


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
    text = render(paper_table("pmal1", tmp_path), "markdown")
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
    ) in render(paper_table("cac2", tmp_path), "markdown")


def test_line_with_several_variants_shows_the_first_and_says_so(tmp_path):
    """A grid over a setting that the paper does not have must not be averaged into one row."""
    variants = [
        ("tinyimagenet", "PMAL", "osrci", PMAL | {"robustness": mode}, {"auroc": auroc})
        for mode, auroc in (("sqrt_n", 0.8), ("median", 0.6))
    ]
    export_of(tmp_path, "pmal-table3", variants)
    text = render(paper_table("pmal3", tmp_path), "markdown")
    assert "80.0 ± 0.1 (**83.1**, -3.1)" in text
    assert "- f: 2 settings of the sweep match; the first is shown" in text


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("format", RENDERERS)
def test_every_table_prints_in_every_format_without_an_export(name, format, tmp_path):
    """The published values alone are worth printing."""
    text = render(paper_table(name, tmp_path), format)
    assert "nothing of ours" in text or format == "csv"
    assert len(text.splitlines()) > 3


def test_machine_formats_hold_the_difference(tmp_path):
    """And JSON the trials behind each place."""
    export_of(tmp_path, "cac-table2", cac_values())
    made = paper_table("cac2", tmp_path)
    lines = list(csv.DictReader(render(made, "csv").splitlines()))
    (line,) = [one for one in lines if (one["row"], one["column"]) == ("CAC*", "SVHN")]
    assert float(line["ours"]) == pytest.approx(0.938)
    assert float(line["difference"]) == pytest.approx(0, abs=1e-9)
    assert len(json.loads(render(made, "json"))["trials"]["CAC*/SVHN"]) == 2


def test_wrong_names_of_tables_and_formats_are_refused(tmp_path):
    """With the right ones."""
    with pytest.raises(ConfigError, match="There is: cac1, cac2"):
        paper_table("cac7", tmp_path)
    with pytest.raises(ConfigError, match="Did you mean 'latex'"):
        render(paper_table("cac2", tmp_path), "latx")
