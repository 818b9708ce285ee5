"""Results that were made elsewhere, taken into a store: by `osr_core.batch`, or in another home."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter

from osr_core.errors import ConfigError, VersionError
from osr_core.execution import check_code
from osr_core.identity import digest
from osr_core.results.commit import Commit
from osr_core.source import is_of_other_source
from sweeps.store.layout import stage_of
from sweeps.store.store import DamagedError, Store


@dataclass
class Merged:
    """What became of the results of another store, by stage id."""

    taken: dict[str, str] = field(default_factory=dict)  # of which kind
    there: list[str] = field(default_factory=list)  # already, and left as they are
    refused: dict[str, str] = field(default_factory=dict)  # why
    unfinished: list[str] = field(default_factory=list)  # begun, and not done


def merge(other: Store, store: Store) -> Merged:
    """Take all results of another store that are whole, of this code, and not there yet.

    A result is refused with what it rests on. The first commit stays, also beside a driver that
    runs; nothing in either store is overwritten.
    """
    merged, ids = Merged(), other.stage_ids()
    there = store.committed(ids)
    merged.there = sorted(there)
    commits, refused = looked_at(other, set(ids) - there, set(ids))
    for stage_id in inputs_first(commits):
        commit = commits[stage_id]
        if wrong := next((each for each in inputs_of(commit) if each in refused), None):
            refused[stage_id] = f"it rests on {wrong}: {refused[wrong]}"
        if stage_id in refused or stage_id in there:
            continue
        try:
            artifacts = other.read_all(stage_id)
        except DamagedError as error:
            refused[stage_id] = str(error)
            continue
        if store.leave(stage_id, commit, artifacts) == commit:
            merged.taken[stage_id] = commit.stage["kind"]
        else:
            merged.there.append(stage_id)
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
        except (DamagedError, VersionError, ConfigError) as error:
            refused[stage_id] = str(error)
        else:
            commits[stage_id] = commit
            todo += inputs_of(commit)
    return commits, refused


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
