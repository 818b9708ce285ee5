"""What a figure is drawn from: one export, one trial of it, and perhaps the images themselves."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analysis.exports.labels import own_changes, recipe_label, row_labels
from analysis.exports.mixture import mixture
from analysis.exports.read import joined, read_runs, read_scores
from analysis.exports.schema import RUNS, FinishedTrial, Plan
from analysis.exports.selection import NONE, in_short
from osr_core.errors import ConfigError, DataError
from osr_core.wording import in_words

ImageLoader = Callable[[Sequence[str]], Sequence[NDArray[np.uint8]]]  # image ids -> (H, W, C) each


@dataclass(frozen=True)
class Scores:
    """The N test images of one trial."""

    image_id: Sequence[str]
    label: NDArray[np.int64]  # -1 unknown
    predicted: NDArray[np.int64]
    unknown_score: NDArray[np.float64]  # larger = more unknown
    class_name: Sequence[str | None]

    @classmethod
    def from_table(cls, table: pa.Table) -> "Scores":
        """From the rows of one trial, of an export or of its stage's artifact.

        Without the column image_id there are no ids, and without class_name each name is None.
        """
        named = "class_name" in table.column_names
        return cls(
            table["image_id"].to_pylist() if "image_id" in table.column_names else [],
            table["label"].to_numpy().astype(np.int64),
            table["predicted"].to_numpy().astype(np.int64),
            table["unknown_score"].to_numpy().astype(np.float64),
            table["class_name"].to_pylist() if named else [None] * len(table),
        )

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which images are of a known class."""
        return self.label >= 0

    @property
    def threshold(self) -> float:
        """The smallest known score that accepts 95 % of the known images, as FPR95 has it."""
        return self.accepting(95)

    def accepting(self, percent: int) -> float:
        """The smallest known score that accepts so many of the known images, 1 to 100 %."""
        known = np.sort(self.unknown_score[self.known])
        return float(known[-(-percent * len(known) // 100) - 1])

    def known_names(self) -> list[str]:
        """Names of the known classes by label; "class k" where the export does not say."""
        largest = max(int(self.predicted.max()), int(self.label.max()))
        names = [f"class {k}" for k in range(largest + 1)]
        for label, name in zip(self.label, self.class_name, strict=True):
            if label >= 0 and name is not None:
                names[label] = name
        return names


def rests_on_trial(trial: FinishedTrial, label: str, changes: Mapping[str, Any]) -> str:
    """For the foot of a figure about one trial, whose label tells it from its method's others.

    `changes` are those that the spec makes to the trial's recipe, for all methods or for its own.
    """
    changed = in_words(dict(sorted(changes.items())))
    recipe = f"recipe {trial['recipe']}, changed ({changed}), " if changes else ""
    return (
        f"{label} {trial['dataset']}/{trial['split']} seed {trial['seed']}, trial "
        f"{trial['trial_id'][:8]}, sweep {trial['sweep']}, {recipe}{chosen_by([trial])}commit "
        f"{trial['commit']}"
    )


def chosen_by(trials: Iterable[FinishedTrial]) -> str:
    """For a figure's foot: "selection ORACLE, ", or nothing where no search has chosen settings."""
    selection = in_short(trial["selection"] for trial in trials)
    return "" if selection == NONE else f"selection {selection}, "


@dataclass(frozen=True)
class Source:
    """One exported sweep, and what was asked of it."""

    folder: Path
    plan: Plan
    runs: pa.Table
    trial: str  # how the trial's id begins
    images: ImageLoader | None
    accepted: int | None  # percent of the known test images; None where all unknown ones count
    search: str = ""  # how the search's id begins

    @classmethod
    def open(
        cls,
        folder: Path,
        trial: str = "",
        images: ImageLoader | None = None,
        accepted: int | None = None,
        search: str = "",
    ) -> "Source":
        """Read the runs of an export.

        Raises:
            DataError: none there; says how to make it.
        """
        if not (folder / RUNS).is_file():
            spec = folder.name.replace("-", "_")
            raise DataError(
                f"sweep {folder.name} is not exported to {folder}. Run: osr run {spec} && osr "
                f"export {folder.name}"
            )
        runs, plan = read_runs(folder)
        return cls(folder, plan, runs, trial, images, accepted, search)

    def trials(self, title: str = "") -> list[FinishedTrial]:
        """Finished trials, of one method if a title is given; never none.

        Raises:
            DataError: there is none.
        """
        found = [trial for trial in self.runs.to_pylist() if title in ("", trial["title"])]
        if not found:
            raise DataError(f"{self.folder} holds no finished trial{f' of {title}' * bool(title)}.")
        return found

    def one(self, title: str = "", dataset: str = "") -> FinishedTrial:
        """The trial asked for; else the first of the method `title`, on `dataset` if there is one.

        Raises:
            ConfigError: the beginning of an id fits no trial, or several.
        """
        if not self.trial:
            there = self.trials(title)
            return next((trial for trial in there if trial["dataset"] == dataset), there[0])
        found = [trial for trial in self.trials() if trial["trial_id"].startswith(self.trial)]
        if len(found) != 1:
            raise ConfigError(
                f"trial '{self.trial}' fits {len(found)} of the {len(self.runs)} finished trials "
                f"of sweep {self.plan.sweep}. Ids are in the column trial_id of runs.parquet, and "
                "in the report under Trials."
            )
        return found[0]

    def comparable(self, title: str) -> list[FinishedTrial]:
        """Finished trials of a method on the dataset and the protocol of its first one."""
        trials = self.trials(title)
        alike = ("dataset", "protocol")
        return [trial for trial in trials if all(trial[a] == trials[0][a] for a in alike)]

    def repetitions(self, trial: FinishedTrial) -> list[FinishedTrial]:
        """The finished trials of its method, settings and dataset: other splits and seeds, too."""
        alike = ("title", "hyperparameters", "dataset")
        return [other for other in self.trials() if all(other[a] == trial[a] for a in alike)]

    def scores(self, trial: FinishedTrial) -> Scores:
        """The test images of a trial.

        Raises:
            DataError: the export has none of them.
        """
        table = read_scores(self.folder, [trial["trial_id"]])
        if not len(table):
            raise DataError(f"{self.folder} holds no scores of trial {trial['trial_id']}.")
        return Scores.from_table(table)

    def label(self, trial: FinishedTrial) -> str:
        """What a trial is called: "CAC", or "CAC (alpha=5)" among others of CAC."""
        title: str = trial["title"]
        return self._labels.get(trial["trial_id"], title)

    @cached_property
    def _labels(self) -> dict[str, str]:
        return row_labels(self.plan.trials)

    def rests_on_trial(self, trial: FinishedTrial) -> str:
        """For the foot of a figure about one trial: which one."""
        defaults = self.plan.defaults.get(trial["method"], {})
        own = own_changes(json.loads(trial["hyperparameters"]), defaults)
        return rests_on_trial(trial, self.label(trial), {**self.plan.changes, **own})

    def rests_on_trials(self, trials: Sequence[FinishedTrial]) -> str:
        """For the foot of a figure about the repetitions of a trial: which splits and seeds."""
        first, splits = trials[0], sorted({trial["split"] for trial in trials})
        seeds = len({trial["seed"] for trial in trials})
        return (
            f"{self.label(first)} {first['dataset']}, splits {' '.join(map(str, splits))}, n = "
            f"{len(splits)} splits x {seeds} seeds, sweep {first['sweep']}, protocol "
            f"{first['protocol']}, recipe {recipe_label(self.plan)}, {chosen_by(trials)}commit "
            f"{joined(trials, 'commit')}{_differing(trials)}"
        )

    def rests_on(self, trials: Sequence[FinishedTrial]) -> str:
        """For the foot of a figure about several trials: where the numbers are from."""
        splits = len({trial["split"] for trial in trials})
        return (
            f"sweep {self.plan.sweep}, protocol {joined(trials, 'protocol')}, recipe "
            f"{recipe_label(self.plan)}, n = {splits} splits, "
            f"{chosen_by(trials)}commit {joined(trials, 'commit')}{_differing(trials)}"
        )


def _differing(trials: Sequence[FinishedTrial]) -> str:
    """What trials were computed on differently, for the end of a foot."""
    return f". {differing}" if (differing := mixture(trials)) else ""
