"""A sweep's experiment in MLflow. It belongs to one store, and a tag says to which."""

from collections.abc import Mapping
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException

from sweeps.planning.plan import Plan
from sweeps.store.store import Store
from sweeps.tracking.errors import TrackingError
from sweeps.tracking.tags import BY, DIED, HELD, NOTE, REASON, STORE, experiment_names
from sweeps.tracking.views import experiment_tags

SAMPLE = 1000  # runs by which an experiment without the tag is judged


def experiment_of(uri: str, sweep: str, store_id: str) -> Experiment | None:
    """The experiment that a store's sweep has in MLflow, if it has one."""
    client = MlflowClient(uri)
    for name in experiment_names(sweep, store_id):
        found = client.get_experiment_by_name(name)
        if found is not None and found.tags.get(STORE) == store_id:
            return found
    return None


def open_experiment(client: MlflowClient, plan: Plan, store: Store, artifacts: str | None) -> str:
    """The id of the sweep's experiment, made if need be, with its description up to date.

    A new one's files go below the URI `artifacts`, if given. Until the sweep's runs are complete
    it is marked as lacking something.

    Raises:
        TrackingError: none of its names is free.
    """
    experiment = _own(client, plan.spec.name, store, artifacts)
    experiment_id = str(experiment.experiment_id)
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment_id)
    there = {HELD: ""} | experiment.tags
    for key, value in {**experiment_tags(plan, experiment_id), HELD: ""}.items():
        if there.get(key) != value:
            client.set_experiment_tag(experiment_id, key, value)
    return experiment_id


def begin_sweep_run(
    client: MlflowClient, plan: Plan, experiment_id: str, found: str, holder: Mapping[str, Any]
) -> str:
    """The id of the run of the sweep itself, below which those of its stages stand, as running.

    It is made where none was `found`; one of an earlier launch says how that one ended. `holder` is
    what the lease says of its driver: who runs it, and why.
    """
    keys = {BY: "by", REASON: "reason"} if holder.get("by") else {}
    told = {tag: str(holder.get(key) or "") for tag, key in keys.items()}
    if found:
        run = client.get_run(found)
        if run.info.status != "RUNNING":
            client.update_run(found, "RUNNING")
        if run.data.tags.get(DIED):
            client.set_tag(found, DIED, "")
        for tag, value in told.items():
            if run.data.tags.get(tag, "") != value:
                client.set_tag(found, tag, value)
        return found
    name = plan.spec.name
    counts = ", ".join(f"{count} {kind}" for kind, count in plan.kinds().items())
    note = f"The sweep **{name}**: {len(plan.trials)} trials, made of {counts} stages."
    tags = {"kind": "sweep", NOTE: note} | {tag: value for tag, value in told.items() if value}
    run = client.create_run(experiment_id, tags=tags, run_name=f"sweep {name}")
    return str(run.info.run_id)


def _own(client: MlflowClient, sweep: str, store: Store, artifacts: str | None) -> Experiment:
    """This store's experiment: its own, one of a version before that shows its results, or new."""
    store_id = store.identify()
    where = f"{artifacts}/{sweep}" if artifacts else None
    for name in experiment_names(sweep, store_id):
        experiment = client.get_experiment_by_name(name) or _create(client, name, store_id, where)
        owner = experiment.tags.get(STORE)
        if owner is None and _shows(client, experiment.experiment_id, store):
            client.set_experiment_tag(experiment.experiment_id, STORE, store_id)
            owner = store_id
        if owner == store_id:
            return experiment
    names = " and ".join(f"'{name}'" for name in experiment_names(sweep, store_id))
    raise TrackingError(
        f"MLflow's experiments {names} belong to other stores than {store.uri}. Rename one of them "
        "there, or give the sweep another name."
    )


def _create(client: MlflowClient, name: str, store_id: str, where: str | None) -> Experiment:
    """A new experiment; the other one where another store's driver was faster."""
    try:
        client.create_experiment(name, artifact_location=where, tags={STORE: store_id})
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    return client.get_experiment_by_name(name)


def _shows(client: MlflowClient, experiment_id: str, store: Store) -> bool:
    """Whether the finished runs of an experiment without owner are of this store, if there are any.

    Equal stages have equal ids in all stores, so the plan does not tell; what is committed does.
    """
    asked = "attributes.status = 'FINISHED' and tags.kind != 'sweep'"
    runs = client.search_runs([experiment_id], asked, max_results=SAMPLE)
    shown = {run.data.tags["stage_id"] for run in runs if "stage_id" in run.data.tags}
    return not shown or bool(store.committed(shown))
