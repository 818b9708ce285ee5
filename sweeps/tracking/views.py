"""Prepared lists of a sweep's score runs in MLflow, best first, and links to them.

MLflow keeps a shared view as JSON in a tag of the experiment; an address that names the tag's key
opens its list with that filter, order and columns. One list is made of every dataset and split; the
experiment's description links to them.
"""

import json
import re
from collections.abc import Mapping, Sequence

from osr_core.data.splits import ClassSplit
from sweeps.planning.plan import EVALUATE, UNSELECTED, Plan
from sweeps.tracking.tags import NOTE, VIEW

METRICS = ("test/auroc", "test/accuracy", "test/oscr")  # the first one orders the list
LONGEST_NOTE = 5000  # letters that every database takes in a tag of an experiment


def experiment_tags(plan: Plan, experiment_id: str) -> dict[str, str]:
    """The lists of a sweep and the description that links to them; equal plans give equal tags."""
    splits = {trial.split.id: trial.split for trial in plan.trials}
    everything = ["dataset", "split", "method", "seed", *_settings(plan)]
    if any(trial.selection != UNSELECTED for trial in plan.trials):
        everything.append("selection")
    views = {"all": _view("", everything)}
    listed: dict[str, list[str]] = {}
    for split in splits.values():
        asked = f' and params.dataset = "{split.benchmark}" and params.split = "{split.index}"'
        views[_key(split)] = _view(asked, everything[2:])
        listed.setdefault(split.benchmark, []).append(
            _link(str(split.index), experiment_id, _key(split))
        )
    parts = [f"{name} split {' '.join(links)}" for name, links in listed.items()]
    note = "Trials, best AUROC first: " + " · ".join([_link("all", experiment_id, "all"), *parts])
    if len(note) > LONGEST_NOTE:
        note = note[:LONGEST_NOTE].rpartition(" ")[0]  # a whole link is the last
    return {NOTE: note, **{VIEW + key: json.dumps(view) for key, view in views.items()}}


def _settings(plan: Plan) -> list[str]:
    """Hyperparameters that are worth a column."""
    return sorted({key for keys in plan.varied.values() for key in keys})


def _view(asked: str, params: Sequence[str]) -> Mapping[str, object]:
    return {
        "searchFilter": f'tags.kind = "score" and params.purpose = "{EVALUATE}"{asked}',
        "orderByKey": f"metrics.`{METRICS[0]}`",
        "orderByAsc": False,
        "selectedColumns": [
            *(f"metrics.`{name}`" for name in METRICS),
            *(f"params.`{name}`" for name in params),
        ],
    }


def _key(split: ClassSplit) -> str:
    """A key that is the same in a tag's name and in an address."""
    return re.sub(r"[^\w.-]", "_", f"{split.benchmark}-{split.index}")


def _link(text: str, experiment_id: str, key: str) -> str:
    page = f"#/experiments/{experiment_id}/runs"
    return f"[{text}]({page}?viewStateShareKey={key}&workflowType=machine_learning)"
