"""PMAL's Tables 1 to 5.

What the paper does not spell out, and how it is read here:
- Its row "ARPL" holds the values of ARPL+CS, so it is compared with our ARPL+CS.
- Its Tables 3 to 5 vary one setting and keep the others at the paper's defaults.
"""

from collections.abc import Mapping
from typing import Any

from analysis.papers.layout import BY_NAME, Grid, Layout, Line, Place, Printed, as_text, places_of
from analysis.papers.published import paper_tables

IMAGENETS = {
    "ImageNet-LT": "imagenet_lt",
    "ImageNet-100": "imagenet100",
    "ImageNet-200": "imagenet200",
}
METRICS = {"acc": "accuracy", "auroc": "auroc"}
BACKBONES = {"OSCRI": "osrci", "WRN": "wrn"}
DEFAULTS = {
    "members": 2,
    "prototypes": 10,
    "epsilon": 0.7,
    "margin": 0.5,
    "prototype_weight": 1.0,
    "quality": "robustness",
    "diversity": "nearest_better",
    "distance": "attention",
}
ALTERNATIVES: dict[str, dict[str, Any]] = {  # Table 4
    "quality/Probability": {"quality": "probability"},
    "quality/DeepEnsembles": {"quality": "deep_ensembles"},
    "quality/MC-dropout": {"quality": "mc_dropout"},
    "diversity/Randomization": {"diversity": "random"},
    "diversity/Clustering": {"diversity": "k_means"},
    "Ours": {},
}
SWEPT = {"T": "prototypes", "epsilon": "epsilon", "U": "members", "delta": "margin"}


def table1() -> Layout:
    """Small datasets: accuracy, then AUROC."""
    table = paper_tables()["pmal"]["table1"]
    lines = tuple(_line(row) for row in table["rows"])
    grids = tuple(
        Grid(
            metric,
            title,
            lines,
            places_of(BY_NAME, metric),
            _corrected(table["rows"], key, table["corrections"]),
        )
        for key, metric, title in (("acc", "accuracy", "ACC"), ("auroc", "auroc", "AUROC"))
    )
    legend = ("* marks values that the paper's authors re-ran.",)
    return Layout("pmal1", "PMAL, Table 1", "PMAL", "pmal-table1", 100, 1, grids, legend)


def table2() -> Layout:
    """Large datasets."""
    rows = paper_tables()["pmal"]["table2"]["rows"]
    lines = tuple(Line(r, r, DEFAULTS if r == "PMAL" else {}) for r in rows)
    titles = {"acc": "ACC", "auroc": "AUROC", "extra_params": "extra parameters"}
    grids = []
    for name, title in titles.items():
        quantity = METRICS.get(name, name)
        printed = _corrected(rows, name, ())
        if name == "extra_params":
            printed = {key: Printed(as_text(one.value)) for key, one in printed.items()}
        grids.append(Grid(quantity, title, lines, places_of(IMAGENETS, quantity), printed))
    legend = ("* marks values that the paper's authors re-ran.",)
    return Layout("pmal2", "PMAL, Table 2", "PMAL", "pmal-table2", 100, 1, tuple(grids), legend)


def table3() -> Layout:
    """Modules switched on and off."""
    switches = {"high_quality": "HQ", "diversity": "Div", "point_to_set": "P2S"}
    rows = paper_tables()["pmal"]["table3"]["rows"]
    lines = tuple(
        Line(
            name,
            "PMAL",
            DEFAULTS | _switched(row["high_quality"], row["diversity"], row["point_to_set"]),
            features=tuple("✓" if row[switch] else "-" for switch in switches),
        )
        for name, row in rows.items()
    )
    printed = {(name, "AUROC"): Printed(row["auroc"]) for name, row in rows.items()}
    places = (Place("AUROC", "auroc", "tinyimagenet"),)
    grid = Grid(
        "modules", "modules, TinyImageNet", lines, places, printed, tuple(switches.values()), "row"
    )
    return Layout("pmal3", "PMAL, Table 3", "PMAL", "pmal-table3", 100, 1, (grid,))


def table4() -> Layout:
    """Other measures of quality and of diversity."""
    rows = paper_tables()["pmal"]["table4"]["rows"]
    grids = []
    for part in ("quality", "diversity"):
        chosen = {key.split("/")[-1]: key for key in rows if key.startswith(part) or key == "Ours"}
        lines = tuple(
            Line(label, "PMAL", DEFAULTS | ALTERNATIVES[key]) for label, key in chosen.items()
        )
        printed = {
            (label, place): Printed(rows[key][name])
            for label, key in chosen.items()
            for name, place in (("acc", "ACC"), ("auroc", "AUROC"))
        }
        places = tuple(
            Place(label, metric, "tinyimagenet")
            for label, metric in (("ACC", "accuracy"), ("AUROC", "auroc"))
        )
        grids.append(Grid(part, f"instead of {part}, TinyImageNet", lines, places, printed))
    return Layout("pmal4", "PMAL, Table 4", "PMAL", "pmal-table4", 100, 1, tuple(grids))


def table5() -> Layout:
    """Hyperparameters one at a time; lambda_p from the text."""
    tables = paper_tables()["pmal"]
    table, text = tables["table5"], tables["text_sweeps"]
    swept = {symbol: (table[symbol], name) for symbol, name in SWEPT.items()}
    swept["lambda_p"] = (text["lambda_p"], "prototype_weight")
    grids = []
    for symbol, (values, name) in swept.items():
        lines = tuple(
            Line(f"{symbol} = {value}", "PMAL", DEFAULTS | {name: float(value)}) for value in values
        )
        printed = {(f"{symbol} = {value}", "AUROC"): Printed(v) for value, v in values.items()}
        places = (Place("AUROC", "auroc", "tinyimagenet"),)
        grids.append(
            Grid(symbol, f"{symbol}, TinyImageNet", lines, places, printed, rows="setting")
        )
    legend = ("lambda_p is from the text, not from the table: " + text["note"],)
    return Layout("pmal5", "PMAL, Table 5", "PMAL", "pmal-table5", 100, 1, tuple(grids), legend)


def _line(row: str) -> Line:
    name, _, network = row.partition("-")
    title = {"SoftMax": "Softmax", "ARPL": "ARPL+CS"}.get(name, name)
    return Line(row, title, DEFAULTS if name == "PMAL" else {}, BACKBONES.get(network, ""))


def _switched(high_quality: bool, diversity: bool, point_to_set: bool) -> dict[str, str]:
    """Settings with some modules off; without quality, k-centres spread (see PMAL's mining.py)."""
    spread = "nearest_better" if high_quality else "k_centres"
    return {
        "quality": "robustness" if high_quality else "none",
        "diversity": spread if diversity else "none",
        "distance": "attention" if point_to_set else "nearest",
    }


def _corrected(
    rows: Mapping[str, Any], key: str, corrections: Any
) -> dict[tuple[str, str], Printed]:
    """The printed values of one metric, misprints put right and noted."""
    printed = {
        (row, column): Printed(value["v"], value["star"])
        for row, values in rows.items()
        for column, value in values[key].items()
    }
    for correction in corrections:
        row = correction["row"]
        for column, value in correction.get("corrected", {}).items():
            if correction["column"] == key:
                note = "" if value is None else correction["issue"]
                printed[row, column] = Printed(value, note=note)
    return printed
