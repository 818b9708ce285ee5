"""Imports into one sweep, one after the other: what the second finds of the first."""

from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from osr_core.data.splits import ClassSplit
from osr_core.data.tasks import open_test
from osr_core.imported import SCORES, Imported, digest_of
from osr_core.scores_import import TABLE
from osr_core.source import source_of
from osr_core.trial import test_of as images_of
from sweeps.home import Home
from sweeps.launch.imports import bring, sweep_of
from sweeps.planning.imports import with_scores
from sweeps.planning.plan import Plan, PlannedTrial
from sweeps.planning.spec import parse_spec
from sweeps.store.store import Store

VALUES = {"name": "in-turn", "datasets": ["digits"], "splits": [0, 1], "methods": {"mls": {}}}
SPEC = parse_spec(VALUES, "in-turn")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home of whose results MLflow, which is slow, hears nothing."""
    monkeypatch.setattr("sweeps.tracking.synchronise.synchronise", lambda *told: 0)
    return Home(tmp_path)


def their_scores(split: ClassSplit, plan: Plan) -> bytes:
    """A file of scores of a split's test images, drawn at random."""
    test = open_test(None, images_of(split, plan.fingerprints), image_size=16, channels=1)
    draws = torch.Generator().manual_seed(split.index)
    logits = torch.randn(len(test.labels), split.num_known, generator=draws)
    columns = {
        "image_id": pa.array(test.image_ids),
        "label": pa.array(test.labels.tolist()),
        "unknown_score": pa.array((-logits.amax(1)).numpy()),
        "logits": pa.array(logits.tolist(), pa.list_(pa.float32())),
    }
    sink = BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def planned(plan: Plan, index: int, **told: str) -> tuple[PlannedTrial, bytes]:
    """A trial of imported scores on a split, and its file."""
    split = SPEC.split("digits", SPEC.protocol, index)
    content = their_scores(split, plan)
    digest = digest_of(content)
    imported = Imported(what=SCORES, file="theirs.parquet", sha256=digest, **told)
    return with_scores("theirs", split, plan.fingerprints, imported), content


def test_an_import_keeps_what_came_into_the_record_since_it_was_planned(home: Home) -> None:
    """The second one read the sweep before the first had the lease, and wrote it after."""
    plan = sweep_of(SPEC, Store(home.store), None, "digits")
    for trial, content in [planned(plan, 0), planned(plan, 1)]:
        bring(SPEC, [trial], {TABLE: content}, home, None)
    record = Store(home.store).sweep("in-turn")
    assert record is not None
    assert [trial["split"] for trial in record["trials"]] == [0, 1]


def test_a_file_that_comes_again_replaces_what_other_code_made_of_it(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`osr run` tells its user to import it again, and the first marker stays otherwise."""
    store = Store(home.store)
    trial, content = planned(sweep_of(SPEC, store, None, "digits"), 0)
    with monkeypatch.context() as patched:
        patched.setattr("sweeps.launch.imports.source_of", lambda identity: "other")
        bring(SPEC, [trial], {TABLE: content}, home, None)
    bring(SPEC, [trial], {TABLE: content}, home, None)
    assert store.read_commit(trial.id).source == source_of(trial.score.identity)
