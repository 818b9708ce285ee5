"""Results that were made elsewhere, taken into a store: by `osr_core.batch`, or in another home."""

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from graphlib import TopologicalSorter

from osr_core.errors import ConfigError, VersionError
from osr_core.execution import check_code
from osr_core.identity import digest
from osr_core.kinds import HISTORY, IMPORTS
from osr_core.results.commit import Commit
from osr_core.source import is_of_other_source
from sweeps.running.machine import MACHINE
from sweeps.store.files import DamagedError, NotDoneError
from sweeps.store.layout import stage_of
from sweeps.store.store import Store

TIMED = {HISTORY, MACHINE}  # no stage reads them, and a clock makes them differ each time


@dataclass
class Merged:
    """What became of the results of another store, by stage id."""

    taken: dict[str, str] = field(default_factory=dict)  # of which kind
    there: list[str] = field(default_factory=list)  # already, and left as they are
    from_others: list[str] = field(default_factory=list)  # taken, of inputs unlike those here
    refused: dict[str, str] = field(default_factory=dict)  # why
    unfinished: list[str] = field(default_factory=list)  # begun, and not done


def merge(other: Store, store: Store) -> Merged:
    """Take all results of another store that are whole, of this code, and not there yet.

    A result is refused with what it rests on, in that store or in this one. The first commit stays,
    also beside a driver that runs; nothing in either store is overwritten.
    """
    merged, ids = Merged(), other.stage_ids()
    there = store.committed(ids)
    merged.there = sorted(there)
    commits, refused = looked_at(other, set(ids) - there, set(ids))
    here = rested_on(store, commits)
    older = to_be_made_again(here)
    for stage_id in inputs_first(commits):
        commit = commits[stage_id]
        if why := why_refused(commit, refused, older):
            refused[stage_id] = why
        if stage_id in refused or stage_id in there:
            continue
        try:
            artifacts = other.read_all(stage_id, of=commit)
        except DamagedError as error:  # or made again meanwhile
            refused[stage_id] = str(error)
            continue
        if store.leave(stage_id, commit, artifacts) != commit:
            merged.there.append(stage_id)
            continue
        merged.taken[stage_id] = commit.stage["kind"]
        if is_made_from_others(commit, commits, here):
            merged.from_others.append(stage_id)
    merged.refused = {each: refused[each] for each in ids if each in refused and each not in there}
    begun = {stage_of(each.name) for each in other.files("work") if not each.is_temporary}
    merged.unfinished = sorted(begun - set(ids))
    return merged


def looked_at(
    other: Store, wanted: Iterable[str], done: Collection[str]
) -> tuple[dict[str, Commit], dict[str, str]]:
    """The markers of stages and, of those `done` in that store, of all that they rest on.

    Those that are refused, with the reason, come apart. What a result rests on is looked at also
    where this home has its own: the result was made from the other one.
    """
    commits: dict[str, Commit] = {}
    refused: dict[str, str] = {}
    todo = list(wanted)
    while todo:
        stage_id = todo.pop()
        if stage_id in commits or stage_id in refused or stage_id not in done:
            continue
        try:
            commit = other.read_commit(stage_id)
            check(stage_id, commit)
        except (NotDoneError, DamagedError, VersionError, ConfigError) as error:
            refused[stage_id] = str(error)
        else:
            commits[stage_id] = commit
            todo += inputs_of(commit)
    return commits, refused


def rested_on(store: Store, commits: Mapping[str, Commit]) -> dict[str, Commit]:
    """The markers in this home of all that results rest on, and of what that rests on in turn.

    None of a damaged one, which will be made anew.
    """
    found: dict[str, Commit] = {}
    todo = {each for commit in commits.values() for each in inputs_of(commit)}
    while todo := store.committed(todo - found.keys()):
        for stage_id in todo:
            with suppress(NotDoneError, DamagedError):
                found[stage_id] = store.read_commit(stage_id)
        todo = {i for each in todo if each in found for i in inputs_of(found[each])}
    return found


def to_be_made_again(here: Mapping[str, Commit]) -> dict[str, Commit]:
    """Those of other source than this code's, and all that rests on these."""
    again: dict[str, Commit] = {}
    for stage_id in inputs_first(here):
        commit = here[stage_id]
        is_other = is_of_other_source(commit.stage, commit.source)
        if is_other or again.keys() & set(inputs_of(commit)):
            again[stage_id] = commit
    return again


def why_refused(
    commit: Commit, refused: Mapping[str, str], older: Mapping[str, Commit]
) -> str | None:
    """Why a result cannot be taken because of what it rests on, there or here; None if it can.

    Args:
        commit: its marker.
        refused: why results of its store are refused, by stage id.
        older: the results of this home that are to be made again.
    """
    for each in inputs_of(commit):
        if each in refused:
            return f"it rests on {each}: {refused[each]}"
        if each in older:
            imported = older[each].stage["kind"] in {kind.name for kind in IMPORTS}
            again = "`osr import` its file again" if imported else "`osr run SPEC --remake`"
            return (
                f"it rests on {each}, and the result that is here of that is of other source code, "
                f"or rests on one that is. To make it again: {again}."
            )
    return None


def is_made_from_others(
    commit: Commit, commits: Mapping[str, Commit], here: Mapping[str, Commit]
) -> bool:
    """Whether what a result was made from differs in any bit from what is here of it."""
    both = [each for each in inputs_of(commit) if each in commits and each in here]
    return any(untimed(commits[each]) != untimed(here[each]) for each in both)


def untimed(commit: Commit) -> dict[str, object]:
    """The facts of a result's artifacts that other stages may read."""
    return {name: facts for name, facts in commit.artifacts.items() if name not in TIMED}


def inputs_of(commit: Commit) -> list[str]:
    """Ids of the stages whose results a stage was given."""
    return list(commit.stage["inputs"].values())


def inputs_first(commits: Mapping[str, Commit]) -> list[str]:
    """Their ids, each after those that its stage rests on."""
    graph = {stage_id: inputs_of(commit) for stage_id, commit in commits.items()}
    return [each for each in TopologicalSorter(graph).static_order() if each in commits]


def check(stage_id: str, commit: Commit) -> None:
    """Refuse what another stage has left, or other code.

    Raises:
        DamagedError: the marker is of another stage.
        VersionError: the stage is of other versions than this code has, or of other source.
        ConfigError: its method is not installed here.
    """
    if digest(commit.stage) != stage_id:
        raise DamagedError(f"the marker in the folder of {stage_id} is of another stage")
    check_code(commit.stage)
    if is_of_other_source(commit.stage, commit.source):
        raise VersionError(f"code {commit.code} has made it, whose files differ from these here")
