"""Results made on other machines are taken if they are whole and of this code, and else refused."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from osr_core.identity import digest
from osr_core.results.commit import Commit, facts_of
from osr_core.source import source_of
from osr_core.stage import Stage
from sweeps.launch.merge import merge
from sweeps.planning.data import plan_with_data
from sweeps.planning.plan import Plan
from sweeps.planning.spec import parse_spec
from sweeps.store.store import Store
from tests.sweeps.command import call_osr

SPEC: dict[str, Any] = {
    "name": "small",
    "datasets": ["digits"],
    "splits": [0, 1],
    "methods": {"softmax": {}},
}


@pytest.fixture
def plan() -> Plan:
    """Two fits and their scores."""
    return plan_with_data(parse_spec(SPEC, "small"), None)


def made(
    store: Store, *stages: Stage, host: str, source: str | None = None, alike: bool = False
) -> None:
    """Leave a result of each stage, as a machine would; alike: as every other one would."""
    for stage in stages:
        store.commit(
            stage.id,
            stage.identity,
            {
                "weights.safetensors": f"{stage.id} by {'us' if alike else host}".encode(),
                "history.parquet": f"how long it took {host}".encode(),
                "machine.parquet": f"how busy {host} was".encode(),
            },
            {"train/loss": 0.5},
            started_at=1.0,
            wall_s=1.0,
            host=host,
            code="abc",
            source=source_of(stage.identity) if source is None else source,
        )


def test_two_machines_results_come_together(plan: Plan, tmp_path: Path) -> None:
    """What both have made is the first one's, its marker as it was; a second merge takes none."""
    one, two, home = (Store(tmp_path / name) for name in ("one", "two", "home"))
    first, second, third, _ = plan.stages.values()
    made(one, first, second, host="one")
    made(two, second, third, host="two")
    two.attempts.save_log(first.id, "its log is no result")
    (tmp_path / "two" / "work").mkdir()
    (tmp_path / "two" / "work" / f"{first.id}.checkpoint").write_bytes(b"state")
    assert merge(one, home).taken == {first.id: "fit", second.id: "score"}
    merged = merge(two, home)
    assert (merged.taken, merged.there) == ({third.id: "fit"}, [second.id])
    assert (merged.refused, merged.unfinished) == ({}, [first.id])
    assert home.read(second.id, "weights.safetensors") == f"{second.id} by one".encode()
    assert home.read_commit(third.id) == two.read_commit(third.id)
    assert home.read_all(third.id) == two.read_all(third.id)
    assert merge(two, home).taken == {}


def test_damaged_and_foreign_results_are_refused_and_the_others_taken(
    plan: Plan, tmp_path: Path
) -> None:
    """Each with its reason; nothing of them is left in the home."""
    there, home = Store(tmp_path / "there"), Store(tmp_path / "home")
    whole, marker, flipped, changed = plan.stages.values()
    made(there, whole, flipped, marker, host="there")
    made(there, changed, host="there", source="0" * 32)
    (artifact,) = (tmp_path / "there").glob(f"stages/*/{flipped.id}/weights-*")
    artifact.write_bytes(b"?" + artifact.read_bytes()[1:])
    (told,) = (tmp_path / "there").glob(f"stages/*/{marker.id}/commit.json")
    told.write_bytes(told.read_bytes().replace(b"0.5", b"0.6"))
    older = {**whole.identity, "version": whole.identity["version"] - 1}
    moved = "f" * 32
    for stage_id, identity in ((digest(older), older), (moved, whole.identity)):
        commit = Commit(
            stage=identity, artifacts={}, metrics={}, started_at=1.0, wall_s=1.0, host="there"
        )
        there.leave(stage_id, commit, {})
    merged = merge(there, home)
    assert merged.taken == {whole.id: "fit"}
    assert home.stage_ids() == [whole.id]
    why = merged.refused
    assert f"{artifact} is missing or does not match its checksum" in why[flipped.id]
    assert "is damaged: it does not match its checksum" in why[marker.id]
    assert "whose files differ from these here" in why[changed.id]
    assert "stage fit has version 2 here and 1 in the plan" in why[digest(older)]
    assert "is of another stage" in why[moved]


def test_a_score_is_refused_with_the_fit_that_it_rests_on(plan: Plan, tmp_path: Path) -> None:
    """At home it would count as done, so that nobody would make or miss the fit."""
    fit, score, other_fit, other_score = plan.stages.values()
    there, home = Store(tmp_path / "there"), Store(tmp_path / "home")
    made(there, fit, host="there", source="0" * 32)
    made(there, other_fit, score, other_score, host="there")
    (artifact,) = (tmp_path / "there").glob(f"stages/*/{other_fit.id}/weights-*")
    artifact.write_bytes(b"?")
    merged = merge(there, home)
    assert (merged.taken, home.stage_ids()) == ({}, [])
    assert set(merged.refused) == {each.id for each in plan.stages.values()}
    for each, rests_on in ((score, fit), (other_score, other_fit)):
        why = f"it rests on {rests_on.id}: {merged.refused[rests_on.id]}"
        assert merged.refused[each.id] == why


def test_a_fit_at_home_does_not_stand_for_the_one_that_a_score_was_made_from(
    plan: Plan, tmp_path: Path
) -> None:
    """The other store's fit is of other source, and so are the numbers of its score."""
    fit, score, *_ = plan.stages.values()
    there, home = Store(tmp_path / "there"), Store(tmp_path / "home")
    made(home, fit, host="home")
    made(there, fit, host="there", source="0" * 32)
    made(there, score, host="there")
    merged = merge(there, home)
    assert (merged.taken, merged.there, list(merged.refused)) == ({}, [fit.id], [score.id])


def test_a_score_is_refused_where_the_fit_at_home_is_of_other_source(
    plan: Plan, tmp_path: Path
) -> None:
    """`osr run --remake` would withdraw it with that fit, though it was made from another one."""
    fit, score, other_fit, other_score = plan.stages.values()
    there, home = Store(tmp_path / "there"), Store(tmp_path / "home")
    made(home, fit, host="home", source="0" * 32)
    made(there, fit, score, other_fit, other_score, host="there")
    merged = merge(there, home)
    assert merged.taken == {other_fit.id: "fit", other_score.id: "score"}
    assert (merged.there, list(merged.refused)) == ([fit.id], [score.id])
    why = merged.refused[score.id]
    assert f"it rests on {fit.id}, and the result that is here of that is of other source" in why
    assert why.endswith("To make it again: `osr run SPEC --remake`.")


def test_a_score_is_refused_where_what_its_input_rests_on_is_of_other_source(
    tmp_path: Path,
) -> None:
    """PMAL's fit rests on what was mined, and that on two classifiers."""
    spec = {**SPEC, "splits": [0], "methods": {"pmal": {}}}
    plan = plan_with_data(parse_spec(spec, "small"), None)
    there, home = Store(tmp_path / "there"), Store(tmp_path / "home")
    members = [stage for stage in plan.stages.values() if not stage.inputs]
    (mined,) = [stage for stage in plan.stages.values() if stage.kind.name == "pmal.mine"]
    (fit,) = [
        each for each in plan.stages.values() if mined.id in {i.id for i in each.inputs.values()}
    ]
    made(home, *members, host="home", source="0" * 32)
    made(home, mined, host="home")
    made(there, fit, host="there")
    merged = merge(there, home)
    assert (merged.taken, list(merged.refused)) == ({}, [fit.id])
    assert "or rests on one that is" in merged.refused[fit.id]


def test_a_score_of_another_machines_fit_is_told_apart(plan: Plan, tmp_path: Path) -> None:
    """The first fit stays here; the score is of its definition, and not of its last bits.

    How long the fit took differs each time, and no score rests on that.
    """
    fit, score, other_fit, other_score = plan.stages.values()
    there, home = Store(tmp_path / "there"), Store(tmp_path / "home" / "store")
    made(home, fit, host="home")
    made(there, fit, score, host="there")
    made(there, other_fit, other_score, host="there", alike=True)
    made(home, other_fit, host="home", alike=True)
    merged = merge(there, home)
    assert merged.taken == {score.id: "score", other_score.id: "score"}
    assert (merged.from_others, merged.refused) == ([score.id], {})
    home.withdraw([score.id])
    told = call_osr("merge", tmp_path / "there", home=tmp_path / "home").stdout
    assert "differ from those here in their last bits, as another processor's do: 1" in told


def test_a_score_is_taken_from_a_store_that_lacks_its_fit(plan: Plan, tmp_path: Path) -> None:
    """Large weights need not travel; nothing says that they were not of this code."""
    _, score, *_ = plan.stages.values()
    there, home = Store(tmp_path / "there"), Store(tmp_path / "home")
    made(there, score, host="there")
    assert merge(there, home).taken == {score.id: "score"}


def test_a_result_that_was_set_aside_is_taken_from_elsewhere(plan: Plan, tmp_path: Path) -> None:
    """It is not done here any more, so nothing is overwritten."""
    there, home = Store(tmp_path / "there"), Store(tmp_path / "home")
    stage = next(iter(plan.stages.values()))
    made(there, stage, host="there")
    made(home, stage, host="home")
    home.withdraw([stage.id])
    assert merge(there, home).taken == {stage.id: "fit"}
    assert home.read_commit(stage.id).host == "there"
    assert home.read_commit(stage.id).artifacts == facts_of(home.read_all(stage.id))


def test_a_copy_in_the_wrong_folder_and_an_empty_marker_are_no_results(
    plan: Plan, tmp_path: Path
) -> None:
    """As `cp -r home/store/stages results/stages` leaves, and a power cut: the rest is taken."""
    fit, score, cut, _ = plan.stages.values()
    there, home = Store(tmp_path / "there"), Store(tmp_path / "home")
    made(there, fit, score, cut, host="there")
    stages = tmp_path / "there" / "stages"
    shutil.copytree(stages, tmp_path / "copy")
    (tmp_path / "copy").rename(stages / "stages")
    (stages / "commit.json").write_text("{}")
    (marker,) = stages.glob(f"*/{cut.id}/commit.json")
    marker.write_bytes(b"")
    merged = merge(there, home)
    assert (merged.taken, merged.refused) == ({fit.id: "fit", score.id: "score"}, {})


def test_a_result_that_is_set_aside_meanwhile_is_passed_over(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a store in which a sweep runs: before its marker is read, or after; the rest is taken."""
    fit, score, other_fit, other_score = plan.stages.values()
    there, home = Store(tmp_path / "there"), Store(tmp_path / "home")
    made(there, fit, score, other_fit, other_score, host="there")
    listed, leave = there.stage_ids(), home.leave

    def left(*given: Any) -> Commit:
        there.withdraw([other_score.id])
        made(there, other_score, host="again")
        return leave(*given)

    monkeypatch.setattr(there, "stage_ids", lambda: listed)
    monkeypatch.setattr(home, "leave", left)
    there.withdraw([fit.id])
    merged = merge(there, home)
    assert merged.taken == {other_fit.id: "fit"}
    assert set(merged.refused) == {fit.id, score.id, other_score.id}
    assert f"stage {fit.id} is not in store" in merged.refused[fit.id]
    assert "is missing or does not match its checksum" in merged.refused[other_score.id]
    assert home.stage_ids() == [other_fit.id]


def test_a_fit_at_home_that_is_set_aside_meanwhile_stops_no_merge(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver of this home has found it damaged."""
    fit, score, *_ = plan.stages.values()
    there, home = Store(tmp_path / "there"), Store(tmp_path / "home")
    made(home, fit, host="home")
    made(there, score, host="there")
    committed = home.committed

    def then_withdrawn(ids: Any) -> set[str]:
        found = committed(ids)
        home.delete([f"stages/{each[:2]}/{each}" for each in found])
        return found

    monkeypatch.setattr(home, "committed", then_withdrawn)
    assert merge(there, home).taken == {score.id: "score"}


def test_the_command_says_what_was_taken_and_what_was_not(plan: Plan, tmp_path: Path) -> None:
    """With exit code 1 where something was refused, so that a script hears of it."""
    there, home = Store(tmp_path / "there"), tmp_path / "home"
    first, second, *_ = plan.stages.values()
    made(there, first, second, host="there")
    done = call_osr("merge", tmp_path / "there", home=home)
    assert (done.returncode, done.stderr) == (0, "")
    assert "taken: 2 results (1 fit, 1 score)" in done.stdout
    (told,) = (tmp_path / "there").glob(f"stages/*/{first.id}/commit.json")
    told.write_bytes(b"{}")
    other = tmp_path / "other"
    refused = call_osr("merge", tmp_path / "there", home=other)
    assert (refused.returncode, "taken: 0 results" in refused.stdout) == (1, True)
    assert f"refused {first.id}: " in refused.stderr
    assert f"refused {second.id}: it rests on {first.id}: " in refused.stderr


def test_what_is_no_store_or_of_another_format_is_refused(tmp_path: Path) -> None:
    """Before anything is taken."""
    missing = call_osr("merge", tmp_path / "none", home=tmp_path / "home")
    assert (missing.returncode, "there is no store at" in missing.stderr) == (2, True)
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "FORMAT").write_text("osr-sweeps store 1")
    older = call_osr("merge", tmp_path / "old", home=tmp_path / "home")
    assert (older.returncode, "has the format 'osr-sweeps store 1'" in older.stderr) == (3, True)
