"""What the store and MLflow keep of a plan: enough to tell what is done without spec or data."""

import subprocess
from collections.abc import Collection, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from osr_core.errors import ConfigError
from sweeps.planning.plan import Plan, make_plan
from sweeps.planning.spec import parse_spec
from sweeps.store.store import Store


def plan_record(plan: Plan, commit: str) -> dict[str, Any]:
    """A plan as plain JSON; equal plans give equal records."""
    spec = plan.spec
    return {
        "sweep": spec.name,
        "protocol": spec.protocol,
        "recipe": spec.recipe,
        "commit": commit,
        "spec": spec.plain(),
        "fingerprints": dict(plan.fingerprints),
        "trials": [
            {
                "trial_id": trial.id,
                "method": trial.method,
                "title": trial.title,
                "dataset": trial.split.benchmark,
                "split": trial.split.index,
                "seed": trial.seed,
                "hyperparameters": dict(trial.hyperparameters),
                "backbone": trial.backbone["name"],
            }
            for trial in plan.trials
        ],
        "stages": [
            {
                "stage_id": stage.id,
                "kind": stage.kind,
                "label": plan.describe(stage),
                "inputs": sorted(upstream.id for upstream in stage.inputs.values()),
            }
            for stage in plan.stages.values()
        ],
    }


def plan_of(record: Mapping[str, Any]) -> Plan:
    """The plan that a record was made from.

    Raises:
        ConfigError: this version of the code makes other stages from its spec.
    """
    plan = make_plan(parse_spec(record["spec"], record["sweep"]), record["fingerprints"])
    if {stage["stage_id"] for stage in record["stages"]} != set(plan.stages):
        raise ConfigError(
            f"sweep '{record['sweep']}' was run with commit {record['commit']}, whose stages "
            "differ from this version's. Use that commit, or run the sweep again."
        )
    return plan


def claim_name(store: Store, record: Mapping[str, Any], replace: bool) -> None:
    """Let the sweep's name stand for this plan.

    A name may be given again to the same plan or to one with more trials; anything else is taken
    for a second spec of the same name.

    Raises:
        ConfigError: the name stands for trials that this plan does not have.
    """
    trial_ids = {trial["trial_id"] for trial in record["trials"]}
    spec = record["spec"]
    if not replace and (why := name_taken(store, record["sweep"], spec, trial_ids)):
        raise ConfigError(why)
    store.save_sweep(record["sweep"], record)


def name_taken(
    store: Store, name: str, spec: Mapping[str, Any], trial_ids: Collection[str]
) -> str | None:
    """Why a name cannot stand for a spec in plain values with these trials; None: it can."""
    before = store.sweep(name) or {"trials": [], "spec": {}}
    gone = [trial for trial in before["trials"] if trial["trial_id"] not in trial_ids]
    if not gone:
        return None
    keys = [key for key in spec | before["spec"] if spec.get(key) != before["spec"].get(key)]
    differing = f"{', '.join(keys)} of the spec" if keys else "the data or the code"
    return (
        f"the name '{name}' stands for another sweep in store {store.uri}, which differs in "
        f"{differing}: {len(gone)} of its {len(before['trials'])} trials are not those of this "
        f"one, such as {trial_label(gone[0])}. Give this spec another name, or let it take over "
        "the name with --replace (no result is deleted)."
    )


def is_complete(plan: Plan, store: Store) -> bool:
    """Whether every trial has its result, and nothing that was damaged is still to be made."""
    trials = [trial.id for trial in plan.trials]
    return len(store.committed(trials)) == len(trials) and not store.to_make_again(plan.stages)


def trial_label(trial: Mapping[str, Any]) -> str:
    """For people: "cac digits/3 seed 0"."""
    return f"{trial['method']} {trial['dataset']}/{trial['split']} seed {trial['seed']}"


def code_version() -> str:
    """The commit of this code, marked where files differ from it; else the package's version."""
    try:
        _git("ls-files", "--error-unmatch", Path(__file__).name)  # else another project's commit
        return _git("describe", "--always", "--dirty", "--exclude=*")
    except (OSError, subprocess.CalledProcessError):
        return f"osr-sweeps {version('osr-sweeps')}"


def _git(*words: str) -> str:
    command = ["git", "-C", str(Path(__file__).parent), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
