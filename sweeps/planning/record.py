"""What the store and MLflow keep of a plan: enough to tell what is done without spec or data."""

from collections.abc import Mapping
from typing import Any

from osr_core.errors import ConfigError
from sweeps.planning.plan import Plan, make_plan
from sweeps.planning.spec import parse_spec


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
