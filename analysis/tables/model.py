"""The model of a table: what `sweep_table` fills in and `sweep_sheet` turns into text."""

from dataclasses import dataclass

from analysis.exports.schema import PlannedTrial

METRIC_TITLES = {
    "accuracy": "ACC",
    "auroc": "AUROC",
    "oscr": "OSCR",
    "aupr_unknown": "AUPR-out",
    "aupr_known": "AUPR-in",
    "fpr95": "FPR95",
    "macro_f1": "macro-F1",
}


@dataclass(frozen=True)
class Heading:
    """One column of numbers."""

    metric: str
    paper: str = ""  # key of PAPERS; "" for ours

    @property
    def text(self) -> str:
        """'AUROC', or 'AUROC (CAC)' for what that paper prints."""
        title = METRIC_TITLES[self.metric]
        return f"{title} ({self.paper})" if self.paper else title


@dataclass(frozen=True)
class Entry:
    """One number: ours, or a paper's."""

    mean_percent: float | None = None  # None: nothing finished, or nothing printed
    std_percent: float | None = None  # over splits
    num_finished: int = 0  # trials; 0 of 0 for a paper's number
    num_planned: int = 0
    rank: int = 0  # 1 best of the column, 2 second best, ties share; 0 else, and for papers
    starred: bool = False  # re-run by the paper's authors
    note: str = ""  # what was wrong with the printed value


@dataclass(frozen=True)
class Row:
    """A method, with the hyperparameters that set it apart."""

    label: str
    entries: tuple[Entry, ...]  # one per heading
    missing: tuple[PlannedTrial, ...]


@dataclass(frozen=True)
class Block:
    """All rows of one dataset."""

    dataset: str
    task: str  # numbers of classes and openness in words; empty while no trial is finished
    headings: tuple[Heading, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Table:
    """What was asked for, under what it rests on."""

    sweep: str
    protocol: str
    recipe: str
    selection: str  # rule that chose the hyperparameters
    num_splits: int
    num_seeds: int
    commit: str  # code version; more than one where trials were scored by different ones
    blocks: tuple[Block, ...]
