"""From a spec to committed results: plan, run what is missing, track, tell what is left."""

import dataclasses
import os
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from osr_core import graphs
from osr_core.stage import Stage
from sweeps.home import Home
from sweeps.launch.best import reader_of
from sweeps.launch.changed import Decide, refuse, settle
from sweeps.launch.code_version import code_version
from sweeps.launch.conduct import Conduct
from sweeps.launch.data_folder import data_folder, readers_of
from sweeps.launch.estimate import paces, seen_before
from sweeps.launch.growing import Growth
from sweeps.launch.progress import SweepProgress
from sweeps.launch.reaper import Reaper
from sweeps.launch.shutdown import Shutdown
from sweeps.launch.state import WAIT_S, Launch
from sweeps.launch.terms import Terms
from sweeps.planning.data import check_data, plan_with_data
from sweeps.planning.frontier import can_run
from sweeps.planning.plan import Plan, remaining
from sweeps.planning.record import grown_trials, plan_record
from sweeps.planning.spec import SweepSpec
from sweeps.running.allotment import ALL_OF_IT, Allotment
from sweeps.store.address import bucket_of
from sweeps.store.files import UnreachableError
from sweeps.store.leases import Fence, Lease
from sweeps.store.shared_data import SharedData
from sweeps.store.store import Store
from sweeps.store.sweep_names import claim_name
from sweeps.tracking.background import BackgroundTracking
from sweeps.tracking.completeness import is_complete, is_held

if TYPE_CHECKING:
    from sweeps.tracking.painter import Pictures
    from sweeps.tracking.tracker import Tracker

Check = Callable[[Plan, Store, str], None]
"""Given a plan, the store and the code's version. ConfigError: it must not be run."""
PASSES = 2  # the second makes what was found damaged on the way to MLflow


def run_sweep(
    spec: SweepSpec,
    home: Home,
    data_root: str | Path | None,
    console: Console,
    *,
    address: str | None = None,
    replace: bool = False,
    take_over: bool = False,
    allotment: Allotment = ALL_OF_IT,
    wait_s: float = WAIT_S,
    terms: Terms | None = None,
    careful: bool = True,
    growth: Growth | None = None,
    pictures: "Pictures | None" = None,
    decide: Decide = refuse,
    check: Check | None = None,
) -> Launch:
    """Run every stage of a sweep that is not done yet.

    `data_root` may be a bucket's address; `allotment` says what of this machine is used; `terms`,
    what the sweep gets beside others of a cluster; a `careful` launch of a large sweep tries one
    trial of each method first (see `caution`); `growth` may add trials while it runs; `pictures`
    go to the runs in MLflow; `decide` is asked about results of other code; `check` may refuse
    what is planned.
    """
    graphs.are_on(os.environ.get(graphs.VARIABLE))  # refuses a wrong value now, not in each fit
    home = dataclasses.replace(home, root=home.root.resolve())  # Ray starts in another folder
    folder = data_folder(data_root, readers_of(spec.datasets), console.print)
    plan = plan_with_data(spec, folder, SharedData.at(home.store).facts)
    if address is not None:
        from sweeps.running.cluster import check_answers  # Ray takes seconds to import

        check_answers(address)
    store, code, terms = Store(home.store), code_version(), terms or Terms()
    with Lease(store.leases, spec.name, take_over=take_over, says=terms.facts()) as lease:
        fence = Fence(spec.name, lease.number)
        if check is not None:
            check(plan, store, code)
        plan, growth = settled(plan, store, growth, decide)
        here = (home, folder, console, fence, address, allotment)
        launch = Launch(plan, store, *here, wait_s, code, terms, lease.tell, careful)
        launch.data_bucket = str(data_root) if bucket_of(data_root) else None
        record = plan_record(plan, code)
        claim_name(store, record, replace)
        if is_complete(plan, store) and is_held(home, store, record, store.aside(plan.stages)):
            launch.up_to_date = True
            return launch
        run_passes(launch, partial(tracker_of, launch, pictures), growth)
    return launch


def settled(
    plan: Plan, store: Store, growth: Growth | None, decide: Decide
) -> tuple[Plan, Growth | None]:
    """As `grown`, once it is decided what becomes of results of other code."""
    as_it_was, its_growth = grown(plan, store, growth)
    if settle(as_it_was, store, decide):
        return grown(plan, store, growth)
    return as_it_was, its_growth


def grown(plan: Plan, store: Store, growth: Growth | None) -> tuple[Plan, Growth | None]:
    """A plan with what earlier launches and searches add to it, and what will let it go on."""
    plan = plan.extended(grown_trials(store.sweep(plan.spec.name), plan))
    if growth is None and plan.spec.searches:
        from sweeps.search.searches import Searches  # Optuna takes a second to import

        growth = Searches(plan, store)
    return plan if growth is None else growth(plan, None), growth


def run_passes(
    launch: Launch, make_tracker: "Callable[[], Tracker]", growth: Growth | None
) -> None:
    """Run what is missing; then once more what was found damaged on the way."""
    store = launch.store
    for _ in range(PASSES):
        again = store.to_make_again(launch.plan.stages)
        run_pass(launch, again, BackgroundTracking(make_tracker), growth)
        if launch.stopped:
            return  # within seconds, and a bucket is slow
        if not store.to_make_again(launch.plan.stages) - again:
            break
    store.tidy(launch.plan.stages)


def run_pass(
    launch: Launch,
    again: Collection[str],
    tracking: BackgroundTracking,
    growth: Growth | None = None,
) -> None:
    """Run what is missing, and the stages in `again`; then wait for MLflow to hold it.

    Raises:
        FencedError: another driver has the sweep now, and may have made what was missing.
    """
    plan, store = launch.plan, launch.store
    try:
        todo = remaining(plan, store.committed(plan.stages), again)
        if can_run(todo, store.orders.read(launch.fence).cancelled):
            check_data(plan.spec, launch.data_root)
            run_stages(launch, todo, tracking, growth)
    except BaseException as error:  # nobody waits for a server now, nor for the store
        is_stop = launch.stopped or isinstance(error, KeyboardInterrupt)
        tracking.close("KILLED" if is_stop else "FAILED", hurry=True)
        raise
    if not launch.stopped and (left := tracking.num_unsent):
        launch.console.print(f"all stages have ended; writing the last {left} of them to MLflow")
    tracking.close(status_of(launch), hurry=launch.stopped)
    launch.tracking_problem = tracking.problem
    if not launch.stopped:
        with suppress(UnreachableError):  # workers cannot commit what another driver has taken
            store.leases.check(launch.fence)


def status_of(launch: Launch) -> str:
    """MLflow's word for how a sweep ended."""
    if launch.stopped:
        return "KILLED"
    return "FINISHED" if is_complete(launch.plan, launch.store) else "FAILED"


def run_stages(
    launch: Launch, todo: list[Stage], tracking: BackgroundTracking, growth: Growth | None
) -> None:
    """Run stages on a Ray cluster until none is left or the user stops it."""
    from sweeps.running import cluster  # as above; a finished sweep needs none of it

    plan = launch.plan
    done = len(plan.stages) - len(todo)
    begun = len(launch.store.attempts.begun(stage.id for stage in todo))
    earlier = f", {begun} begun earlier" if begun else ""
    launch.console.print(f"{done} of {len(plan.stages)} stages are done{earlier}; starting Ray")
    before, read = seen_before(plan, todo, launch.store), reader_of(launch.store)
    took, is_here = paces(before), launch.address is None
    progress = SweepProgress(plan, todo, launch.console, took, read, is_here)
    conduct = Conduct(launch, progress, tracking, growth, before=before)
    with Reaper(), Shutdown(conduct.stop) as shutdown, progress:
        try:
            cluster.connect(launch.address, launch.allotment)
            shutdown.take_signals()  # Ray has put its own handlers there
            conduct.take_signals = shutdown.take_signals
            conduct.execute(todo)
        except cluster.HeadLost as lost:
            raise cluster.HeadLostError(str(lost)) from None
        except (KeyboardInterrupt, SystemExit):  # the latter is Ray's answer to a SIGTERM
            launch.stopped = True
        finally:
            shutdown.disarm()
            cluster.disconnect()


def tracker_of(launch: Launch, pictures: "Pictures | None") -> "Tracker":
    """A tracker that knows what MLflow holds of the sweep."""
    from sweeps.tracking.tracker import make_tracker  # MLflow takes seconds to import

    return make_tracker(launch.plan, launch.store, launch.home, launch.code, pictures, launch.fence)
