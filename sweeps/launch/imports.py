"""What was made elsewhere comes into a sweep: its stage, what rests on it, the record, MLflow.

All of it happens in this process: calibrating and scoring is a pass over images each.
"""

import dataclasses
import json
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from osr_core.context import Context
from osr_core.data import benchmark
from osr_core.data.split_files import names_under
from osr_core.data.tasks import fingerprints
from osr_core.errors import ConfigError, DataError, unknown_name
from osr_core.execution import run_stage
from osr_core.kinds import IMPORTS
from osr_core.source import source_of
from osr_core.stage import Stage
from osr_core.weights_import import FILE, LEFT_OVER
from sweeps.home import Home
from sweeps.launch.changed import changed_stages, with_all_users
from sweeps.launch.code_version import code_version
from sweeps.planning.imports import added_to
from sweeps.planning.plan import Plan, PlannedTrial, plan_with
from sweeps.planning.record import plan_of, plan_record, same_science
from sweeps.planning.spec import SweepSpec
from sweeps.running.checkpoint import StoreCheckpoint
from sweeps.running.worker import work
from sweeps.running.workplace import Workplace
from sweeps.store.leases import Fence, Lease
from sweeps.store.store import Store

if TYPE_CHECKING:
    from sweeps.tracking.painter import Pictures


@dataclass(frozen=True)
class Brought:
    """What an import has left."""

    trials: tuple[PlannedTrial, ...]
    metrics: Mapping[str, Mapping[str, float]]  # by trial id: {"test/auroc": 0.93, ...}
    left_over: tuple[str, ...]  # tensors of the file that had no place


def sweep_of(spec: SweepSpec, store: Store, data_root: Path | None, dataset: str) -> Plan:
    """The plan of the sweep that an import goes into; one without trials if there is none yet.

    Raises:
        ConfigError: a dataset that the spec lacks; the sweep of its name has another spec.
        DataError: the data are not there, or not those that the sweep was planned with.
    """
    if dataset not in spec.datasets:
        raise ConfigError(unknown_name(f"sweep '{spec.name}': dataset", dataset, spec.datasets))
    spec = spec.with_names(names_under(data_root))
    found = fingerprints(data_root, benchmark(dataset))
    record = store.sweep(spec.name)
    if record is None:
        return plan_with(spec, found, [])
    if same_science(record["spec"]) != same_science(spec.plain()):
        raise ConfigError(
            f"sweep '{spec.name}' was made by another spec. Import into it with its own spec, or "
            "give this one another name."
        )
    plan = plan_of(record)
    changed = [name for name in found if plan.fingerprints.get(name, found[name]) != found[name]]
    if changed:
        raise DataError(
            f"{', '.join(changed)} has changed since sweep '{spec.name}' was planned: its rows "
            "would be about different images. Bring the former files back, or name a new sweep."
        )
    return dataclasses.replace(plan, fingerprints={**plan.fingerprints, **found})


def bring(
    spec: SweepSpec,
    trials: Sequence[PlannedTrial],
    content: Mapping[str, bytes],
    home: Home,
    data_root: Path | None,
    pictures: "Pictures | None" = None,
) -> Brought:
    """Put imported trials into a sweep: take in their file, calibrate, score, tell MLflow.

    Args:
        spec: of the sweep.
        trials: all of one file, and of one data set.
        content: what their first stage is given of it, by the name that it knows this by.
        home: the user's results.
        data_root: the folder of the data sets' files.
        pictures: go to the runs in MLflow.

    Raises:
        ConfigError: weights that do not fit; another import has the place in the row; see
            `sweep_of`, too.
        DataError: scores that are not about exactly the split's test images; says the rows.
    """
    from sweeps.tracking.synchronise import synchronise  # MLflow takes seconds to import

    store, code, name = Store(home.store), code_version(), spec.name
    with Lease(store.leases, name, take_over=False) as lease:
        # read under the lease: an import or a launch before may have written it
        plan = sweep_of(spec, store, data_root, trials[0].split.benchmark)
        whole = added_to(plan, trials)
        fence = Fence(name, lease.number)
        workplace = _workplace(plan.spec, home, data_root, fence, code)
        wanted = plan_with(plan.spec, plan.fingerprints, trials).stages.values()
        left_over: set[str] = set()
        for stage in wanted:
            if stage.kind in IMPORTS:
                left_over |= set(_take_in(stage, content, store, workplace, whole))
        identities = {stage.id: stage.identity for stage in wanted}
        for stage in wanted:
            outcome = work(stage.id, identities, workplace)
            if outcome.cause is not None:
                raise ConfigError(f"{whole.describe(stage)} came to nothing: {outcome.reason}")
        store.save_sweep(name, plan_record(whole, code))
        synchronise(whole, store, home, code, pictures, fence)
    metrics = {trial.id: store.read_commit(trial.id).metrics for trial in trials}
    return Brought(tuple(trials), metrics, tuple(sorted(left_over)))


def _workplace(
    spec: SweepSpec, home: Home, data_root: Path | None, fence: Fence, code: str
) -> Workplace:
    """What this process, where all of it happens, is told of the import."""
    return Workplace(
        store=home.store,
        data_root=None if data_root is None else str(data_root),
        gpus=float(torch.cuda.is_available()),
        fence=fence,
        code=code,
        cpus=spec.resources.cpus,
    )


def _take_in(
    stage: Stage, content: Mapping[str, bytes], store: Store, workplace: Workplace, plan: Plan
) -> list[str]:
    """Commit a stage that reads the file; the names of tensors that had no place.

    What other source has made of the file makes way for it, with all that rests on it.
    """
    began, started_at = time.monotonic(), time.time()
    source = source_of(stage.identity)
    context = Context(
        inputs={FILE: content},
        data_root=None if workplace.data_root is None else Path(workplace.data_root),
        device=torch.device("cpu"),
        checkpoint=StoreCheckpoint(store, stage.id, workplace, source),
        report=lambda epoch, row: None,
    )
    result = run_stage(stage.kind.name, stage.config, context)
    if changed_stages({stage.id: stage}, store, store.committed([stage.id])):
        store.withdraw(with_all_users(plan, store, [stage.id]))
    store.commit(
        stage.id,
        stage.identity,
        result.artifacts,
        result.metrics,
        started_at=started_at,
        wall_s=time.monotonic() - began,
        host=socket.gethostname(),
        code=workplace.code,
        source=source,
        fence=workplace.fence,
    )
    return list(json.loads(result.artifacts.get(LEFT_OVER, b"[]")))
