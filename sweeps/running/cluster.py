"""Ray: start or join a cluster, and run a plan's stages on it through Ray Tune."""

import atexit
import gc
import logging
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray import tune

from osr_core.errors import ConfigError, OsrError
from osr_core.stage import Stage
from sweeps.addresses import why_silent
from sweeps.planning.resources import Resources
from sweeps.running.allotment import ALL_OF_IT, Allotment, LocalMachine, allow_many_files
from sweeps.running.events import Events, LetsGo, NothingLeft
from sweeps.running.placement import Machines, ask_of
from sweeps.running.ray_start import join, start
from sweeps.running.searcher import StageSearcher
from sweeps.running.session_folder import session_folder
from sweeps.running.trainable import BundleTrainable
from sweeps.running.watcher import Watcher
from sweeps.running.worker import Identities
from sweeps.running.workplace import Workplace

HEAD_S = 30.0  # Ray's own patience is twice that


class ClusterError(OsrError):
    """Ray or Tune broke."""

    exit_code = 3


class HeadLostError(ClusterError):
    """The cluster's head is gone, and with it all that ran."""


class HeadLost(KeyboardInterrupt):
    """The same on its way through Tune, which takes errors for a trial's."""


@contextmanager
def explained(what: str, then: str) -> Iterator[None]:
    """Whatever Ray raises is one sentence of ours."""
    try:
        yield
    except OsrError:
        raise
    except Exception as error:
        raise ClusterError(f"{what}: {type(error).__name__}: {error}. {then}") from error


def connect(address: str | None = None, allotment: Allotment = ALL_OF_IT) -> None:
    """Join the cluster at `address`, or start one on this machine with the given `allotment`.

    Raises:
        ClusterError: Ray cannot be joined or started. ConfigError: it finds no folder here, or no
            cluster where "auto" asks for one.
    """
    if address is None:
        settings = of_this_machine(allotment)
        folder = settings["_temp_dir"]
        then = (
            f"See that the machine is not too busy and that {folder}, where Ray's logs are, and "
            "memory have room; then try again."
        )
        with explained("Ray did not start", then):
            start(**settings)
    else:
        then = "See that it runs, with the same versions of Ray and Python as here."
        with explained(f"the Ray cluster at {address} cannot be joined", then):
            joined(address)
    # Deaths of workers reach users through the searcher, with their stage's name.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)


def joined(address: str) -> None:
    """Join a cluster; ConfigError where "auto" finds none."""
    try:
        join(address)
    except ConnectionError:
        if address != "auto":
            raise
        raise ConfigError(
            "no Ray cluster runs on this machine, which --address auto looks for. Start one "
            "with `ray start --head`, or leave --address out."
        ) from None


def of_this_machine(allotment: Allotment) -> dict[str, Any]:
    """What a cluster that is started here is told, so that Ray does not take the machine's own
    figures for what its user is allotted.
    """
    machine = LocalMachine()
    allow_many_files()
    return {
        "num_cpus": allotment.cpus or machine.cpus(),
        "num_gpus": allotment.gpus,
        "object_store_memory": machine.object_store(),
        "_temp_dir": str(session_folder()),
    }


def check_answers(address: str) -> None:
    """ConfigError unless somebody listens at HOST:PORT, or it is "auto"; Ray would go on asking for
    many minutes.
    """
    if "://" in address:
        raise ConfigError(
            "--address takes HOST:PORT, as `ray start --head` printed it, not "
            f"'{address}': no sweep can be run through Ray's client (ray://). From a machine "
            "outside the cluster, run the command on the cluster's head."
        )
    if address == "auto":
        return  # Ray looks it up on this machine
    host, _, port = address.rpartition(":")
    if not host:
        raise ConfigError(
            f"--address takes HOST:PORT, or 'auto' for the cluster that this machine belongs to, "
            f"not '{address}'. Leave it out to start one here."
        )
    why = why_silent(host.strip("[]"), int(port)) if port.isdigit() else f"'{port}' is no port"
    if why is not None:
        raise ConfigError(
            f"no Ray cluster answers at {address} ({why}). Give the address "
            "that `ray start --head` printed, or leave --address out to start one here."
        )


def disconnect() -> None:
    """Leave the cluster; one that `connect` started ends.

    An object of Ray's that another thread's garbage collection frees in the middle of it would end
    this process without a word (seen in Ray 2.60), so nothing is collected meanwhile. One whose
    head is gone cannot be left: Ray would look for it, also while Python ends.
    """
    if ray.is_initialized() and why_head_silent():
        atexit.register(os._exit, HeadLostError.exit_code)  # what is registered last comes first
        return
    gc.collect()
    gc.disable()
    try:
        ray.shutdown()
    finally:
        gc.enable()


def shared_name() -> str:
    """What tells the cluster that this process has joined from all others: its head's address."""
    address = str(ray.get_runtime_context().gcs_address)
    is_local = address.startswith(("127.", "localhost", "[::1]"))
    return f"{socket.gethostname()} {address}" if is_local else address


def why_head_silent() -> str | None:
    """Why nobody answers at the cluster's head; None: somebody does."""
    address = str(ray.get_runtime_context().gcs_address)
    host, _, port = address.rpartition(":")
    why = why_silent(host.strip("[]"), int(port))
    return why and f"nobody answers at {address} ({why})"


def check_head() -> None:
    """HeadLost where nobody answers at the cluster's head for HEAD_S.

    To ask Ray instead would take until it ends this process, a minute after the head.
    """
    deadline = time.monotonic() + HEAD_S
    while why := why_head_silent():
        if time.monotonic() > deadline:
            raise HeadLost(
                f"the head of the Ray cluster has died: {why}, for {HEAD_S:.0f} s. What is "
                "committed stays, and fits go on from their last checkpoints: start the cluster "
                "again, then run the same command."
            )
        time.sleep(1.0)


def machines() -> Machines:
    """The cluster's machines at this moment.

    Raises:
        HeadLost: there is no cluster any more.
    """
    check_head()
    nodes = ray.nodes()
    alive = [node for node in nodes if node["Alive"]]
    there = tuple(node["Resources"] for node in alive)
    labels = tuple(node.get("Labels") or {} for node in alive)
    return Machines(there, lost=len(nodes) - len(there), labels=labels)


def check_fits(stages: Iterable[Stage], resources: Resources) -> None:
    """Refuse, on a machine of one's own, what it can never have room for.

    Raises:
        ConfigError: says what is asked for and what there is.
    """
    here = machines()
    asks = {ask_of(stage, resources, here) for stage in stages}
    if misfits := sorted(str(ask) for ask in asks if not here.room_for(ask)):
        raise ConfigError(
            f"a stage asks for {', '.join(misfits)} on one machine, and this one has {here}. "
            "Lower `resources` in the spec."
        )


def execute(
    stages: Sequence[Stage],
    identities: Identities,
    workplace: Workplace,
    resources: Resources,
    folder: Path,
    watcher: Watcher,
    *,
    wait_s: float,
    on_start: Callable[[StageSearcher], None],
) -> None:
    """Run stages, each as soon as its inputs are committed and a machine has room.

    Returns when none is left or, once the searcher that `on_start` got was stopped, when none runs.

    Raises:
        OsrError: what `watcher` raised; what ran was waited for.
        UnplacedError: no machine came within `wait_s` that has what a stage asks for.
        ClusterError: Ray gave up; what ran is lost but for its checkpoints.
    """
    with explained("Ray ended the sweep", "Run the same command to go on; nothing is lost."):
        searcher = StageSearcher(stages, resources, watcher, machines, wait_s)
        on_start(searcher)
        tuner = tune.Tuner(
            trainable(identities, workplace),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=LetsGo(searcher),
                num_samples=-1,
                reuse_actors=True,
                trial_dirname_creator=lambda trial: trial.trial_id,
            ),
            run_config=tune.RunConfig(
                name="stages",
                storage_path=str(folder.resolve()),
                verbose=0,
                callbacks=[Events(searcher)],
                stop=NothingLeft(searcher),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # stages have own
            ),
        )
        tuner.fit()
    if searcher.problem is not None:
        raise searcher.problem


def trainable(identities: Identities, workplace: Workplace) -> Any:
    """What Tune starts for each bundle, and what of a machine it takes for it."""

    def asked(config: dict[str, Any]) -> tune.PlacementGroupFactory:
        labels = {"bundle_label_selector": [config["labels"]]} if config["labels"] else {}
        return tune.PlacementGroupFactory([config["takes"]], **labels)

    told = tune.with_parameters(BundleTrainable, identities=identities, workplace=workplace)
    return tune.with_resources(told, asked)
