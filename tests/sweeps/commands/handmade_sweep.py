"""A sweep of two methods and two splits as the store knows it, made by hand.

MLS scores the weights of the softmax fit, as in a real plan; CAC has a fit of its own.
"""

from pathlib import Path
from typing import Any

from click.testing import Result
from typer.testing import CliRunner

from sweeps.commands.app import app
from sweeps.store.store import Store

FITS = ("softmax", "cac")
SCORES = {"softmax": "softmax", "mls": "softmax", "cac": "cac"}  # and whose weights they need


def stage_id(kind: str, method: str, split: int) -> str:
    """Its first letters tell them apart: "fit" of the first method on split 0 is "f00..."."""
    number = [*SCORES].index(method)
    return f"{'f' if kind == 'fit' else 'a'}{number}{split}" + "0" * 29


def facts(kind: str, method: str, split: int, inputs: list[str]) -> dict[str, Any]:
    """What the record says of a stage."""
    about = {"method": method, "dataset": "digits", "split": split, "seed": 0}
    label = f"{kind} {method} digits/{split} seed 0"
    made = stage_id(kind, method, split)
    return {"stage_id": made, "kind": kind, "label": label, "inputs": inputs, **about}


def record() -> dict[str, Any]:
    """The sweep's."""
    stages, trials = [], []
    for split in (0, 1):
        stages += [facts("fit", method, split, []) for method in FITS]
        for method, weights in SCORES.items():
            stage = facts("score", method, split, [stage_id("fit", weights, split)])
            stages.append(stage)
            trials.append({**stage, "trial_id": stage["stage_id"]})
    return {"sweep": "small", "trials": trials, "stages": stages}


def made_by_hand(folder: Path) -> Store:
    """The store of a home in `folder`, in which the fit of softmax on split 1 is done."""
    store = Store(folder / "store")
    store.save_sweep("small", record())
    done = stage_id("fit", "softmax", 1)
    store.commit(done, {}, {}, {}, started_at=1.0, wall_s=1.0, host="here")
    return store


def typed(store: Store, *words: str) -> Result:
    """A command about the sweep, as typed."""
    command, *rest = words
    home = str(Path(store.uri).parent)
    return CliRunner().invoke(app, [command, "small", *rest, "--home", home])
