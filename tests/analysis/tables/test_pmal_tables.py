"""PMAL's tables: runs made from the printed values come out as what is printed."""

import pytest
import torch
from paper_cells import expected, rows_of
from paper_runs import (
    TABLES,
    corrected_values,
    export_of,
    pmal3_values,
    pmal4_values,
    pmal5_values,
    pmal_values,
)

from analysis.papers.pmal import ALTERNATIVES
from osr_core.backbones import build_backbone, resolve_backbone
from osr_core.methods import METHODS

PMAL = TABLES["pmal"]


def pmal_rows(table, key):
    """Printed values of one metric as {row: {column: (value, star)}}, misprint put right."""
    rows = {
        row: {column: (value["v"], value["star"]) for column, value in metrics[key].items()}
        for row, metrics in PMAL[table]["rows"].items()
    }
    if (table, key) == ("table1", "auroc"):
        rows["PROSER"] |= {"MNIST": (None, False), "SVHN": (94.3, False)}
    return rows


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


def test_additional_parameters_of_the_real_classes_are_the_papers(tmp_path):
    """On ResNet-50, whose D is 2,048, with 1,000, 100 and 200 classes: 2M, 0.2M and 0.4M for one
    vector per class (CPN, RPL), 4M for two (RPL++), nothing for a classifier and for PMAL, whose
    prototypes are images.
    """
    settings = resolve_backbone({"name": "resnet50"}, image_size=64, channels=3)
    num_known = {"imagenet_lt": 1000, "imagenet100": 100, "imagenet200": 200}
    methods = {method.title: method for method in METHODS.values()}

    def facts(dataset, title):
        method = methods[title]
        with torch.device("meta"):
            network = build_backbone(settings)
            counted = method(network, num_known[dataset], method.Config())
        return {"num_additional_parameters": counted.num_additional_parameters()}

    export_of(tmp_path, "pmal-table2", list(pmal_values("table2")), facts)
    cells = rows_of("pmal2", tmp_path)
    for name, row in PMAL["table2"]["rows"].items():
        for column, value in row["extra_params"].items():
            if value["v"] is not None:
                text = value["v"] or "0"
                assert cells["extra parameters", name, column] == f"{text} ({text})"


def test_pmal_table_3_comes_out_as_printed(tmp_path):
    """Rows are found by their switches, not by their names."""
    export_of(tmp_path, "pmal-table3", pmal3_values())
    cells = rows_of("pmal3", tmp_path)
    rows = PMAL["table3"]["rows"]
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
    rows = PMAL["table4"]["rows"]
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
        values = PMAL["table5"][symbol]
        for value, auroc in values.items():
            found = cells[f"{symbol}, TinyImageNet", f"{symbol} = {value}", "AUROC"]
            assert found == expected(values.values(), auroc, 1)
    own = cells["lambda_p, TinyImageNet", "lambda_p = 1.0", "AUROC"]
    assert own == "**83.1 ± 0.1** (**82.9**, +0.2)"
