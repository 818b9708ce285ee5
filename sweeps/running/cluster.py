"""Ray: start or join a cluster, and run a plan's stages on it through Ray Tune."""

import dataclasses
import gc
import logging
import math
import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray import tune

from osr_core.errors import ConfigError, OsrError
from osr_core.stage import Stage
from sweeps.planning.spec import Resources
from sweeps.running.deaths import Nodes
from sweeps.running.searcher import Deaths, Ended, Retried, StageSearcher, Started
from sweeps.running.trainable import StageTrainable
from sweeps.running.worker import Identities, Workplace

ANSWER_S = 5.0


class ClusterError(OsrError):
    """Ray or Tune broke."""


@contextmanager
def explained(what: str, then: str) -> Iterator[None]:
    """Whatever Ray raises is one sentence of ours."""
    try:
        yield
    except OsrError:
        raise
    except Exception as error:
        raise ClusterError(f"{what}: {type(error).__name__}: {error}. {then}") from error


def connect(address: str | None = None) -> None:
    """Join the cluster at `address`, or start one on this machine with all its cores.

    Raises:
        ClusterError: Ray cannot be joined or started.
    """
    what, then = "Ray did not start", "See that /tmp and memory have room, then try again."
    if address is not None:
        what = f"the Ray cluster at {address} cannot be joined"
        then = "See that it runs, with the same versions of Ray and Python as here."
    with explained(what, then):
        ray.init(
            address=address or "local",  # None would join whatever cluster this machine ran last
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.CRITICAL,
        )
    # Deaths of workers reach users through the searcher, with their stage's name.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)


def check_answers(address: str) -> None:
    """ConfigError unless somebody listens at HOST:PORT; Ray would go on asking for many minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon:
        return  # "auto", which Ray looks up on this machine
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_S).close()
    except (OSError, ValueError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"no Ray cluster answers at {address} ({why}). Give the address "
            "that `ray start --head` printed, or leave --address out to start one here."
        ) from error


def disconnect() -> None:
    """Leave the cluster; one that `connect` started ends.

    An object of Ray's that another thread's garbage collection frees in the middle of it would end
    this process without a word (seen in Ray 2.60), so nothing is collected meanwhile.
    """
    gc.collect()
    gc.disable()
    try:
        ray.shutdown()
    finally:
        gc.enable()


def slots(resources: Resources) -> int:
    """How many stages the cluster can run at the same time.

    Raises:
        ConfigError: not even one; says what was asked for and what there is.
    """
    gpus = gpus_per_stage(resources)
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    count = sum(
        min(
            int(node.get("CPU", 0) // resources.cpus),
            math.floor(node.get("GPU", 0) / gpus) if gpus else sys.maxsize,
        )
        for node in nodes
    )
    if count == 0:
        there = "; ".join(f"{n.get('CPU', 0):g} CPUs, {n.get('GPU', 0):g} GPUs" for n in nodes)
        raise ConfigError(
            f"a stage asks for {resources.cpus} CPUs and {gpus:g} GPUs on one machine, and no "
            f"machine has them (there is: {there}). Lower `resources` in the spec."
        )
    return count


def gpus_per_stage(resources: Resources) -> float:
    """What the spec says, or one where the cluster has any."""
    if resources.gpus is not None:
        return resources.gpus
    return 1.0 if ray.cluster_resources().get("GPU", 0) else 0.0


def count_nodes() -> Nodes:
    """The cluster's machines at this moment."""
    alive = [node["Alive"] for node in ray.nodes()]
    return Nodes(alive=sum(alive), lost=len(alive) - sum(alive))


def occupied(cpus: int, gpus: float, alone: bool) -> dict[str, float]:
    """What a stage takes of a machine; `alone` takes a whole GPU where others share one."""
    return {"CPU": cpus, "GPU": max(1.0, gpus) if alone and gpus else gpus}


def execute(
    stages: Sequence[Stage],
    identities: Identities,
    workplace: Workplace,
    resources: Resources,
    folder: Path,
    *,
    started: Started,
    retried: Retried,
    ended: Ended,
    on_start: Callable[[StageSearcher], None],
) -> None:
    """Run stages, each as soon as its inputs are committed.

    Returns when none is left or, once the searcher that `on_start` got was stopped, when none runs.

    Raises:
        OsrError: what `retried` or `ended` raised; what ran was waited for.
        ClusterError: Ray gave up; what ran is lost but for its checkpoints.
    """
    with explained("Ray ended the sweep", "Run the same command to go on; nothing is lost."):
        at_once = slots(resources)
        os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(at_once)
        searcher = StageSearcher(list(stages), started, retried, ended, count_nodes)
        on_start(searcher)
        tuner = tune.Tuner(
            trainable(identities, workplace, resources),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                num_samples=-1,
                max_concurrent_trials=2 * at_once,  # one queued per slot, so no worker waits
                reuse_actors=True,
                trial_dirname_creator=lambda trial: trial.trial_id,
            ),
            run_config=tune.RunConfig(
                name="stages",
                storage_path=str(folder.resolve()),
                verbose=0,
                callbacks=[Deaths(searcher)],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # stages have own
            ),
        )
        tuner.fit()
    if searcher.problem is not None:
        raise searcher.problem


def trainable(identities: Identities, workplace: Workplace, resources: Resources) -> Any:
    """What Tune starts for each stage, and what of a machine it takes for it."""
    gpus = gpus_per_stage(resources)

    def bundle(config: dict[str, Any]) -> tune.PlacementGroupFactory:
        return tune.PlacementGroupFactory([occupied(resources.cpus, gpus, config["alone"])])

    told = tune.with_parameters(
        StageTrainable,
        identities=identities,
        workplace=dataclasses.replace(workplace, gpus=gpus),
    )
    return tune.with_resources(told, bundle)
