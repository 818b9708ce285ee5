"""What a sweep's name stands for in a store."""

from collections.abc import Collection, Mapping
from typing import Any

from osr_core.errors import ConfigError
from sweeps.store.store import Store


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
    gone = [
        trial
        for trial in before["trials"]
        if trial["trial_id"] not in trial_ids and not trial.get("grown")
    ]
    if not gone:
        return None
    keys = [key for key in spec | before["spec"] if spec.get(key) != before["spec"].get(key)]
    differing = f"{', '.join(keys)} of the spec" if keys else "the data or the code"
    return (
        f"the name '{name}' stands for another sweep in store {store.uri}, which differs in "
        f"{differing}: {len(gone)} of its {len(before['trials'])} trials are not those of this "
        f"one, such as {trial_label(gone[0])}. Give this spec another name, or replace that "
        "sweep with --replace (no result is deleted)."
    )


def trial_label(trial: Mapping[str, Any]) -> str:
    """For people: "cac digits/3 seed 0"."""
    return f"{trial['method']} {trial['dataset']}/{trial['split']} seed {trial['seed']}"
