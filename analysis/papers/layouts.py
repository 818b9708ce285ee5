"""What the nine tables of the two papers look like, and which of our trials belong in which place.

A layout has grids of lines and places. A line is a row as printed, with the method (by its title)
and the hyperparameters that make it; a place is a column, a dataset and what is measured there.
Each layout reads the export of one sweep. The printed values come from tables.json.

What the papers do not spell out, and how it is read here:
- CAC's Table 3 has one accuracy for CIFAR+10 and CIFAR+50, which share their networks: ours is that
  of CIFAR+10.
- PMAL's row "ARPL" holds the values of ARPL+CS, so it is compared with our ARPL+CS.
- PMAL's Tables 3 to 5 vary one setting and keep the others at the paper's defaults.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from analysis.papers.published import DATASETS, paper_tables
from osr_core.errors import ConfigError, unknown_name

BY_NAME = {name: key for key, name in DATASETS.items()}  # "CIFAR+10" -> "cifar+10"
IMAGENETS = {
    "ImageNet-LT": "imagenet_lt",
    "ImageNet-100": "imagenet100",
    "ImageNet-200": "imagenet200",
}
PMAL_METRICS = {"acc": "accuracy", "auroc": "auroc"}
BACKBONES = {"OSCRI": "osrci", "WRN": "wrn"}
CAC_DEFAULTS = {"anchor_weight": 0.1, "alpha": 10.0, "tuplet": True, "anchor": True}
PMAL_DEFAULTS = {
    "members": 2,
    "prototypes": 10,
    "epsilon": 0.7,
    "margin": 0.5,
    "prototype_weight": 1.0,
    "quality": "robustness",
    "diversity": "nearest_better",
    "distance": "attention",
}
ALTERNATIVES: dict[str, dict[str, Any]] = {  # PMAL, Table 4
    "quality/Probability": {"quality": "probability"},
    "quality/DeepEnsembles": {"quality": "deep_ensembles"},
    "quality/MC-dropout": {"quality": "mc_dropout"},
    "diversity/Randomization": {"diversity": "random"},
    "diversity/Clustering": {"diversity": "k_means"},
    "Ours": {},
}
SWEPT = {"T": "prototypes", "epsilon": "epsilon", "U": "members", "delta": "margin"}


@dataclass(frozen=True)
class Printed:
    """What a paper prints in one place."""

    value: float | str | None  # in the paper's own unit; None where it prints "-"
    starred: bool = False
    note: str = ""


@dataclass(frozen=True)
class Line:
    """One row as printed."""

    label: str
    title: str = ""  # of our method; "" takes any trial
    settings: Mapping[str, Any] = field(default_factory=dict)
    backbone: str = ""  # "" takes any
    dataset: str = ""  # of a table whose rows are datasets
    features: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """One column as printed."""

    label: str
    quantity: str  # a metric, or a key of reproduction.FACTS
    dataset: str = ""


@dataclass(frozen=True)
class Grid:
    """One block of a table."""

    name: str
    title: str
    lines: tuple[Line, ...]
    places: tuple[Place, ...]
    printed: Mapping[tuple[str, str], Printed]  # by labels of line and place
    features: tuple[str, ...] = ()  # headings of the lines' features
    rows: str = "method"  # what the lines are


@dataclass(frozen=True)
class Layout:
    """One table of a paper."""

    name: str  # "cac2"
    title: str
    paper: str  # key of PAPERS
    sweep: str  # whose export it reads
    scale: float  # from our fractions to the paper's numbers
    decimals: int
    grids: tuple[Grid, ...]
    legend: tuple[str, ...] = ()

    @property
    def spec(self) -> str:
        """The packaged spec that makes the sweep."""
        return self.sweep.replace("-", "_")


def layout_named(name: str) -> Layout:
    """The layout of "cac1" to "cac4" or "pmal1" to "pmal5".

    Raises:
        ConfigError: another name.
    """
    if name not in LAYOUTS:
        raise ConfigError(unknown_name("table", name, LAYOUTS))
    return LAYOUTS[name]()


# -- CAC -------------------------------------------------------------------------------------------


def cac1() -> Layout:
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
        (row, label): Printed(_word(value))
        for row, values in table["rows"].items()
        for (label, _), value in zip(facts.values(), values, strict=True)
    }
    lines = tuple(Line(row, dataset=BY_NAME[row]) for row in table["rows"])
    places = tuple(Place(label, fact) for label, fact in facts.values())
    grid = Grid("datasets", "datasets and their splits", lines, places, printed, rows="dataset")
    legend = (
        "Train images per class: the paper counts all classes of a dataset; our runs read those of "
        "the known ones alone, less what is held out, and have no number to set beside it.",
        table["note"] + ".",
    )
    return Layout("cac1", "CAC, Table 1", "CAC", "cac-table2", 1, 0, (grid,), legend)


def cac2() -> Layout:
    """AUROC."""
    rows = paper_tables()["cac"]["table2"]["rows"]
    labels = {name: name + "*" * row["distance_based"] for name, row in rows.items()}
    lines = tuple(
        Line(label, name, CAC_DEFAULTS if name == "CAC" else {}) for name, label in labels.items()
    )
    printed = {
        (labels[name], column): Printed(value)
        for name, row in rows.items()
        for column, value in row["auroc"].items()
    }
    grid = Grid("auroc", "AUROC", lines, _places(BY_NAME, "auroc"), printed)
    legend = ("* marks distance-based methods.",)
    return Layout("cac2", "CAC, Table 2", "CAC", "cac-table2", 1, 3, (grid,), legend)


def cac3() -> Layout:
    """Accuracy."""
    rows = paper_tables()["cac"]["table3"]["rows"]
    titles = {"Cross-Entropy": "Softmax"}
    lines = tuple(
        Line(name, titles.get(name, name), CAC_DEFAULTS if name == "CAC" else {}) for name in rows
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


def cac4() -> Layout:
    """Training."""
    rows = paper_tables()["cac"]["table4"]["rows"]
    datasets = {"CIFAR*": "cifar10"}
    lines = tuple(
        Line(row, "CAC", CAC_DEFAULTS, dataset=datasets.get(row, BY_NAME.get(row, "")))
        for row in rows
    )
    printed = {}
    for row, values in rows.items():
        phases = " + ".join(f"{lr:g} x {epochs}" for lr, epochs in values["phases"])
        printed[row, "learning rate x epochs"] = Printed(phases)
        printed[row, "dropout"] = Printed(_word(values["dropout"]))
    places = (Place("learning rate x epochs", "phases"), Place("dropout", "dropout"))
    grid = Grid("training", "training of CAC", lines, places, printed, rows="dataset")
    return Layout("cac4", "CAC, Table 4", "CAC", "cac-table2", 1, 0, (grid,))


# -- PMAL ------------------------------------------------------------------------------------------


def pmal1() -> Layout:
    """Small datasets: accuracy, then AUROC."""
    table = paper_tables()["pmal"]["table1"]
    lines = tuple(_pmal_line(row) for row in table["rows"])
    grids = tuple(
        Grid(
            metric,
            title,
            lines,
            _places(BY_NAME, metric),
            _corrected(table["rows"], key, table["corrections"]),
        )
        for key, metric, title in (("acc", "accuracy", "ACC"), ("auroc", "auroc", "AUROC"))
    )
    legend = ("* marks values that the paper's authors re-ran.",)
    return Layout("pmal1", "PMAL, Table 1", "PMAL", "pmal-table1", 100, 1, grids, legend)


def pmal2() -> Layout:
    """Large datasets."""
    rows = paper_tables()["pmal"]["table2"]["rows"]
    lines = tuple(Line(r, r, PMAL_DEFAULTS if r == "PMAL" else {}) for r in rows)
    titles = {"acc": "ACC", "auroc": "AUROC", "extra_params": "extra parameters"}
    grids = []
    for key, title in titles.items():
        quantity = PMAL_METRICS.get(key, key)
        printed = _corrected(rows, key, ())
        if key == "extra_params":
            printed = {place: Printed(_word(one.value)) for place, one in printed.items()}
        grids.append(Grid(quantity, title, lines, _places(IMAGENETS, quantity), printed))
    legend = ("* marks values that the paper's authors re-ran.",)
    return Layout("pmal2", "PMAL, Table 2", "PMAL", "pmal-table2", 100, 1, tuple(grids), legend)


def pmal3() -> Layout:
    """Modules switched on and off."""
    switches = {"high_quality": "HQ", "diversity": "Div", "point_to_set": "P2S"}
    rows = paper_tables()["pmal"]["table3"]["rows"]
    lines = tuple(
        Line(
            name,
            "PMAL",
            PMAL_DEFAULTS | _switched(row["high_quality"], row["diversity"], row["point_to_set"]),
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


def pmal4() -> Layout:
    """Other measures of quality and of diversity."""
    rows = paper_tables()["pmal"]["table4"]["rows"]
    grids = []
    for part in ("quality", "diversity"):
        chosen = {key.split("/")[-1]: key for key in rows if key.startswith(part) or key == "Ours"}
        lines = tuple(
            Line(label, "PMAL", PMAL_DEFAULTS | ALTERNATIVES[key]) for label, key in chosen.items()
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


def pmal5() -> Layout:
    """Hyperparameters one at a time; lambda_p from the text."""
    tables = paper_tables()["pmal"]
    table, text = tables["table5"], tables["text_sweeps"]
    swept = {symbol: (table[symbol], name) for symbol, name in SWEPT.items()}
    swept["lambda_p"] = (text["lambda_p"], "prototype_weight")
    grids = []
    for symbol, (values, name) in swept.items():
        lines = tuple(
            Line(f"{symbol} = {value}", "PMAL", PMAL_DEFAULTS | {name: float(value)})
            for value in values
        )
        printed = {(f"{symbol} = {value}", "AUROC"): Printed(v) for value, v in values.items()}
        places = (Place("AUROC", "auroc", "tinyimagenet"),)
        grids.append(
            Grid(symbol, f"{symbol}, TinyImageNet", lines, places, printed, rows="setting")
        )
    legend = ("lambda_p is from the text, not from the table: " + text["note"],)
    return Layout("pmal5", "PMAL, Table 5", "PMAL", "pmal-table5", 100, 1, tuple(grids), legend)


LAYOUTS: dict[str, Callable[[], Layout]] = {
    layout.__name__: layout
    for layout in (cac1, cac2, cac3, cac4, pmal1, pmal2, pmal3, pmal4, pmal5)
}


def _places(datasets: Mapping[str, str], quantity: str) -> tuple[Place, ...]:
    """One column per dataset, from its name in the paper and ours."""
    return tuple(Place(label, quantity, dataset) for label, dataset in datasets.items())


def _pmal_line(row: str) -> Line:
    name, _, network = row.partition("-")
    title = {"SoftMax": "Softmax", "ARPL": "ARPL+CS"}.get(name, name)
    return Line(row, title, PMAL_DEFAULTS if name == "PMAL" else {}, BACKBONES.get(network, ""))


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


def _word(value: float | str | None) -> str | None:
    """A fact as text: 6, 13.4, 2M."""
    return value if value is None or isinstance(value, str) else f"{value:g}"
