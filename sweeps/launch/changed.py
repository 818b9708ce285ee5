"""Results of other code: the source of their stages has changed under the same version number."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from osr_core.errors import ConfigError
from osr_core.kinds import IMPORTS
from osr_core.stage import Stage
from sweeps.planning.plan import Plan
from sweeps.store.files import DamagedError, at_once
from sweeps.store.store import Store

NAMED = 3  # stages that are named; of more, how many there are

Decide = Callable[[str], bool]
"""Told of results of other code: whether they are computed again. ConfigError: nobody says so."""


def changed_stages(stages: Mapping[str, Stage], store: Store, done: Collection[str]) -> list[Stage]:
    """Those of the stages in `done` that other source than this has made.

    A result that says nothing of its source counts as made by this.
    """
    if not done:
        return []
    from osr_core.source import is_of_other_source  # which takes a while to read

    def source(stage_id: str) -> str:
        try:
            return store.read_commit(stage_id).source
        except DamagedError:  # it will be made anew in any case
            return ""

    asked = [stage for stage_id, stage in stages.items() if stage_id in done]
    found = zip(asked, at_once(source, [stage.id for stage in asked]), strict=True)
    return [stage for stage, made_by in found if is_of_other_source(stage.identity, made_by)]


def in_words(plan: Plan, changed: Sequence[Stage]) -> str:
    """Which results these are, for people; and which of them came from elsewhere."""
    were = "results were" if len(changed) > 1 else "result was"
    told = (
        f"{len(changed)} {were} made by different source code under the same version number: "
        f"{some(plan, changed)}."
    )
    imports = [stage for stage in changed if stage.kind in IMPORTS]
    return f"{told} {not_made_here(plan, imports)}" if imports else told


def not_made_here(plan: Plan, imports: Sequence[Stage]) -> str:
    """How imports of other code are renewed: their files are not here."""
    return (
        "--remake cannot renew imports; import their files again (osr import): "
        f"{some(plan, imports)}."
    )


def some(plan: Plan, stages: Sequence[Stage]) -> str:
    """The first few stages by name, and how many more there are."""
    named = ", ".join(plan.describe(stage) for stage in stages[:NAMED])
    return named + (f" and {len(stages) - NAMED} more" if len(stages) > NAMED else "")


def refuse(told: str) -> bool:
    """A `Decide` for where nobody can be asked."""
    raise ConfigError(
        f"{told} Use --remake to compute them again, with everything that depends on them, or "
        "--keep to use the old results."
    )


def settle(plan: Plan, store: Store, decide: Decide) -> bool:
    """Let somebody decide on results of other code; those to be made anew are set aside.

    A search that was told such results forgets all that it has asked and was told: what it asks and
    chooses follows from the new ones. Whether one has forgotten, so that the plan is to be made
    anew.

    Raises:
        ConfigError: nobody did; an import is to be made anew, which needs its file.
    """
    changed = changed_stages(plan.stages, store, store.committed(plan.stages))
    if not changed or not decide(in_words(plan, changed)):
        return False
    if imports := [stage for stage in changed if stage.kind in IMPORTS]:
        raise ConfigError(f"{not_made_here(plan, imports)} Or use the old results by --keep.")
    withdrawn = with_all_users(plan, store, [stage.id for stage in changed])
    told = searches_told(plan, set(withdrawn))
    for search_id in told:  # first: where this is broken off, the results are found changed again
        store.memories.forget(search_id)
    store.withdraw(withdrawn)
    return bool(told)


def searches_told(plan: Plan, results: Collection[str]) -> list[str]:
    """The ids of searches that measured a candidate by one of these results."""
    return [
        facts["search_id"]
        for facts in plan.searches
        if any(
            trial_id in results
            for candidate in facts["candidates"]
            for step in candidate["trials"]
            for trial_id in step
        )
    ]


def with_all_users(plan: Plan, store: Store, ids: Iterable[str]) -> list[str]:
    """As `with_users`, in the plan and in every sweep of the store."""
    inputs = {i: [up.id for up in stage.inputs.values()] for i, stage in plan.stages.items()}
    for name in store.sweeps():
        record = store.sweep(name) or {"stages": []}
        inputs |= {stage["stage_id"]: stage["inputs"] for stage in record["stages"]}
    return with_users(ids, inputs)


def with_users(ids: Iterable[str], inputs: Mapping[str, Collection[str]]) -> list[str]:
    """Stages and all that rests on them, users before what they use.

    Where this order is broken off, what is left of it is found changed again.
    """
    users: dict[str, list[str]] = {}
    for stage_id, upstream in inputs.items():
        for each in upstream:
            users.setdefault(each, []).append(stage_id)
    order: dict[str, None] = {}

    def visit(stage_id: str) -> None:
        if stage_id not in order:
            for user in users.get(stage_id, ()):
                visit(user)
            order[stage_id] = None

    for stage_id in ids:
        visit(stage_id)
    return list(order)
