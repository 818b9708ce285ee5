"""CAC's Tables 1 to 4.

What the paper does not spell out, and how it is read here: its Table 1 is of what CAC sees, since
the network of the copied rows sees other images; its Table 3 has one accuracy for
CIFAR+10 and CIFAR+50, which share their networks; ours is that of CIFAR+10.
"""

from analysis.papers.layout import BY_NAME, Grid, Layout, Line, Place, Printed, as_text, places_of
from analysis.papers.published import paper_tables

DEFAULTS = {"anchor_weight": 0.1, "alpha": 10.0, "tuplet": True, "anchor": True}


def table1() -> Layout:
    """Datasets."""
    table = paper_tables()["cac"]["table1"]
    facts = {
        "input_size": ("input", "input"),
        "train_images_per_class": ("train images / class", "train_images_per_class"),
        "known": ("known", "known"),
        "unknown": ("unknown", "unknown"),
        "openness_pct": ("openness %", "openness"),
    }
    printed = {
        (row, label): Printed(as_text(value))
        for row, values in table["rows"].items()
        for (label, _), value in zip(facts.values(), values, strict=True)
    }
    lines = tuple(Line(row, "CAC", DEFAULTS, dataset=BY_NAME[row]) for row in table["rows"])
    places = tuple(Place(label, fact) for label, fact in facts.values())
    grid = Grid("datasets", "datasets and their splits", lines, places, printed, rows="dataset")
    legend = (
        "Train images per class: the paper counts all classes of a dataset; our runs read those of "
        "the known ones alone, less what is held out, and have no number to set beside it.",
        table["note"] + ".",
    )
    return Layout("cac1", "CAC, Table 1", "CAC", "cac-table2", 1, 0, (grid,), legend)


def table2() -> Layout:
    """AUROC."""
    rows = paper_tables()["cac"]["table2"]["rows"]
    labels = {name: name + "*" * row["distance_based"] for name, row in rows.items()}
    lines = tuple(
        Line(label, name, DEFAULTS if name == "CAC" else {}) for name, label in labels.items()
    )
    printed = {
        (labels[name], column): Printed(value)
        for name, row in rows.items()
        for column, value in row["auroc"].items()
    }
    grid = Grid("auroc", "AUROC", lines, places_of(BY_NAME, "auroc"), printed)
    legend = ("* marks distance-based methods.",)
    return Layout("cac2", "CAC, Table 2", "CAC", "cac-table2", 1, 3, (grid,), legend)


def table3() -> Layout:
    """Accuracy."""
    rows = paper_tables()["cac"]["table3"]["rows"]
    titles = {"Cross-Entropy": "Softmax"}
    lines = tuple(
        Line(name, titles.get(name, name), DEFAULTS if name == "CAC" else {}) for name in rows
    )
    printed = {
        (name, column): Printed(value)
        for name, row in rows.items()
        for column, value in row.items()
    }
    columns = next(iter(rows.values()))
    places = tuple(Place(c, "accuracy", BY_NAME.get(c, "cifar+10")) for c in columns)
    grid = Grid("accuracy", "closed set accuracy", lines, places, printed)
    return Layout("cac3", "CAC, Table 3", "CAC", "cac-table3", 1, 3, (grid,))


def table4() -> Layout:
    """Training."""
    rows = paper_tables()["cac"]["table4"]["rows"]
    datasets = {"CIFAR*": "cifar10"}
    lines = tuple(
        Line(row, "CAC", DEFAULTS, dataset=datasets.get(row, BY_NAME.get(row, ""))) for row in rows
    )
    printed = {}
    for row, values in rows.items():
        phases = " + ".join(f"{lr:g} x {epochs}" for lr, epochs in values["phases"])
        printed[row, "learning rate x epochs"] = Printed(phases)
        printed[row, "dropout"] = Printed(as_text(values["dropout"]))
    places = (Place("learning rate x epochs", "phases"), Place("dropout", "dropout"))
    grid = Grid("training", "training of CAC", lines, places, printed, rows="dataset")
    return Layout("cac4", "CAC, Table 4", "CAC", "cac-table2", 1, 0, (grid,))
