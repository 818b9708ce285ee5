"""CAC's tables: runs made from the printed values come out as what is printed."""

import json

from paper_cells import expected, rows_of
from paper_runs import KEYS, TABLES, cac_values, export_of

CAC = TABLES["cac"]


def test_cac_table_2_comes_out_as_printed(tmp_path):
    """Every cell, its gaps, the stars of distance-based methods, best and second best."""
    export_of(tmp_path, "cac-table2", cac_values())
    cells = rows_of("cac2", tmp_path)
    rows = CAC["table2"]["rows"]
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
    for name, columns in CAC["table2"]["italic_in_text(second_best)"].items():
        label = {"CAC": r"CAC\*"}.get(name, name)
        for column in columns:
            ours = cells["AUROC", label, column].split(" (")[0]
            assert ours.startswith("*0.")


def test_cac_table_3_comes_out_as_printed(tmp_path):
    """One accuracy stands for CIFAR+10 and CIFAR+50."""
    export_of(tmp_path, "cac-table3", cac_values())
    cells = rows_of("cac3", tmp_path)
    rows = CAC["table3"]["rows"]
    for name, row in rows.items():
        for column, value in row.items():
            others = [other[column] for other in rows.values()]
            assert cells["closed set accuracy", name, column] == expected(others, value, 3)


def cac_facts(dataset, title):
    """What describes a dataset and its training, as CAC's Tables 1 and 4 have them."""
    (name,) = [name for name, key in KEYS.items() if key == dataset]
    row = CAC["table1"]["rows"][name]
    training = CAC["table4"]["rows"]["CIFAR*" if "CIFAR" in name else name]
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
    for name, row in CAC["table1"]["rows"].items():
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
