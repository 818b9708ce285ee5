"""PMAL's tables: runs made from the printed values come out as what is printed."""

import pytest
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
