"""What MLflow is told of real stages: names, columns, texts, pictures, what the machine did."""

import json
import re
import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from sweeps.commands.results import draw_pictures
from sweeps.home import Home
from sweeps.planning.data import plan_with_data
from sweeps.planning.spec import parse_spec
from sweeps.running import machine
from sweeps.running.worker import make
from sweeps.running.workplace import Workplace
from sweeps.store.store import Store
from sweeps.tracking.tags import NOTE, VIEW
from sweeps.tracking.tracker import make_tracker
from sweeps.tracking.views import LONGEST_NOTE, experiment_tags

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
SPEC = {
    "name": "told",
    "datasets": ["digits"],
    "splits": [0, 3],
    "backbone": {"width": 0.125},
    "training": {"epochs": 2, "batch_size": 32, "warmup_epochs": 0},
    "methods": {"softmax": {}, "mls": {}, "openmax": {}, "cac": {"anchor_weight": [0.1, 0.4]}},
}
PICTURES = ["confusion.png", "histogram.png", "roc.png"]


@pytest.fixture(scope="module")
def told(
    tmp_path_factory: pytest.TempPathFactory, with_database: Callable[[Path], Path]
) -> SimpleNamespace:
    """A small sweep whose stages ran in this process, and its runs by name."""
    home = Home(with_database(tmp_path_factory.mktemp("told")))
    plan, store = plan_with_data(parse_spec(SPEC, "told"), None), Store(home.store)
    identities = {stage.id: stage.identity for stage in plan.stages.values()}
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of SQLAlchemy about MLflow
        patch.setattr(machine, "EVERY_S", 0.02)
        for stage_id in plan.stages:
            make(stage_id, identities, Workplace(store=store.uri, data_root=None), store)
        tracker = make_tracker(plan, store, home, "abc", draw_pictures)
        tracker.write_all()
        runs = {run.info.run_name: run for run in tracker.found.all_runs()}
    return SimpleNamespace(home=home, plan=plan, store=store, tracker=tracker, runs=runs)


def test_names_tell_runs_apart_by_what_differs(told: SimpleNamespace):
    """A grid's point is in the name, a setting that all trials share is not."""
    assert len(told.runs) == len(told.plan.stages) + 1
    assert {name for name in told.runs if name[0].isupper()} == {
        f"{title} digits/{split}{setting} seed 0"
        for split in (0, 3)
        for title, setting in (
            ("Softmax", ""),
            ("MLS", ""),
            ("OpenMax", ""),
            ("CAC", " anchor_weight=0.1"),
            ("CAC", " anchor_weight=0.4"),
        )
    }


def test_a_run_says_what_all_its_stages_were_computed_on(told: SimpleNamespace):
    """By kind of stage: a fit made elsewhere moves its trials' numbers."""
    kinds = json.loads(told.runs["OpenMax digits/3 seed 0"].data.tags["made_on"])
    assert set(kinds) == {"fit", "calibrate", "score"}
    for facts in kinds.values():
        assert facts["threads"] == [torch.get_num_threads()]
        libraries = {"torch", "pillow", "scipy"}
        assert set(facts) == {"device", "hardware", "threads", "instruction_set", *libraries}


def test_columns_say_what_a_run_is_about(told: SimpleNamespace):
    """What a user wants to filter, sort and group by in MLflow's list."""
    params = told.runs["CAC digits/3 anchor_weight=0.4 seed 0"].data.params
    about = {"method": "cac", "dataset": "digits", "split": "3", "seed": "0", "epochs": "2"}
    about |= {"anchor_weight": "0.4", "alpha": "10.0", "protocol": "cac", "recipe": "common"}
    assert {key: params[key] for key in about} == about
    assert float(params["lr"]) > 0


def test_text_names_paper_task_numbers_and_the_shared_fit(told: SimpleNamespace):
    """A run's page is enough to know what was done; the fit is one click away."""
    run = told.runs["MLS digits/3 seed 0"]
    note = run.data.tags[NOTE]
    assert "**MLS**" in note
    assert "**digits**, split **3** of protocol cac, seed 0" in note
    assert "6 classes of digits" in note
    assert f"{100 * run.data.metrics['test/auroc']:.1f} %" in note
    fewest = run.data.metrics["scored/unknown_images_min"]
    assert f"scored of each unknown class: {fewest:g} to " in note
    machine = told.store.read_commit(run.data.tags["stage_id"]).machine
    assert f"device cpu: {machine['hardware']}; pillow " in note
    assert f", torch {torch.__version__}" in note
    link = r"\[fit softmax digits/3 seed 0\]\(#/experiments/\d+/runs/(\w+)\), shared by 3 trials"
    (run_id,) = re.findall(link, note)
    assert told.runs["fit softmax digits/3 seed 0"].info.run_id == run_id


def test_score_runs_carry_their_pictures_and_the_others_none(told: SimpleNamespace):
    """ROC, histogram and confusion, as PNG that can be decoded."""
    for name, run in told.runs.items():
        root = Path(run.info.artifact_uri.removeprefix("file://"))
        there = sorted(path.name for path in root.glob("*.png"))
        assert there == (PICTURES if run.data.tags["kind"] == "score" else []), name
        for picture in there:
            assert Image.open(BytesIO((root / picture).read_bytes())).width > 300


def test_a_picture_that_fails_stops_nothing(told: SimpleNamespace, home: Home, caplog):
    """The run is finished, with its scores; the log says which picture is missing and why."""

    def fail(run, scores):
        raise ValueError("no ink")

    tracker = make_tracker(told.plan, told.store, home, "abc", fail)
    tracker.write_all()
    assert tracker.found.finished == set(told.plan.stages)
    trial = told.plan.trials[0]
    files = tracker.client.list_artifacts(tracker.found.run_ids[trial.id])
    assert [file.path for file in files] == ["scores.parquet"]
    assert "no pictures of score softmax digits/0 seed 0: no ink" in caplog.text


def test_what_the_machine_did_is_in_mlflow_once_however_often_it_is_sent(told: SimpleNamespace):
    """A run cut off before it was finished is written again, with the same times and steps."""
    fits = [stage for stage in told.plan.stages.values() if stage.kind.name == "fit"]
    stage = next(s for s in fits if machine.MACHINE in told.store.read_commit(s.id).artifacts)
    kept = pq.read_table(pa.BufferReader(told.store.read(stage.id, machine.MACHINE))).to_pylist()
    client, run_id = told.tracker.client, told.tracker.found.run_ids[stage.id]
    for _ in range(2):
        for name in kept[0].keys() - {"at"}:
            points = client.get_metric_history(run_id, f"system/{name}")
            told_points = sorted((point.step, point.timestamp, point.value) for point in points)
            expected = [(n, round(1000 * row["at"]), row[name]) for n, row in enumerate(kept)]
            assert told_points == expected
        client.update_run(run_id, status="RUNNING")
        make_tracker(told.plan, told.store, told.home, "abc").write(stage)
    assert client.get_run(run_id).info.status == "FINISHED"


def test_the_list_of_a_split_has_its_trials_best_first(told: SimpleNamespace):
    """The description's link "3" opens what a user looks for, with its columns."""
    client, experiment_id = told.tracker.client, told.tracker.experiment_id
    tags = client.get_experiment(experiment_id).tags
    links = dict(re.findall(r"\[(\w+)\]\(([^)]+)\)", tags[NOTE]))
    assert list(links) == ["all", "0", "3"]
    (key,) = parse_qs(urlsplit(links["3"].removeprefix("#")).query)["viewStateShareKey"]
    view = json.loads(tags[VIEW + key])
    order = f"{view['orderByKey']} {'ASC' if view['orderByAsc'] else 'DESC'}"
    found = client.search_runs([experiment_id], view["searchFilter"], order_by=[order])
    assert {run.data.params["split"] for run in found} == {"3"}
    assert len(found) == 5
    values = [run.data.metrics["test/auroc"] for run in found]
    assert values == sorted(values, reverse=True)
    for column in view["selectedColumns"]:
        kind, name = re.fullmatch(r"(\w+)\.`(.+)`", column).groups()
        assert any(name in getattr(run.data, kind) for run in found), column


def test_links_of_a_large_sweep_fit_every_database():
    """A hundred splits: the description ends with a whole link."""
    spec = parse_spec(SPEC | {"protocol": "random", "splits": list(range(100))}, "told")
    note = experiment_tags(plan_with_data(spec, None), "1")[NOTE]
    assert 0.9 * LONGEST_NOTE < len(note) <= LONGEST_NOTE
    assert note.endswith("machine_learning)")


def test_a_failed_run_says_why_until_it_succeeds(told: SimpleNamespace, home: Home):
    """Then a new one takes its place, as `osr sync` would make it in an empty database."""
    store = Store(home.store)
    stage = next(iter(told.plan.stages.values()))
    store.attempts.save_failure(stage.id, "the loss is lost", "Traceback ...")
    tracker = make_tracker(told.plan, store, home, "abc")
    tracker.write(stage)
    failed = tracker.client.get_run(tracker.found.run_ids[stage.id])
    assert "**Failed:** the loss is lost" in failed.data.tags[NOTE]
    assert (failed.info.status, tracker.behind()) == ("FAILED", [])
    assert make_tracker(told.plan, store, home, "abc").behind() == []

    place = Workplace(store=store.uri, data_root=None)
    make(stage.id, {stage.id: stage.identity}, place, store)
    tracker = make_tracker(told.plan, store, home, "abc")
    assert tracker.behind() == [stage]
    tracker.write_all()
    (run,) = [run for run in tracker.found.all_runs() if run.data.tags.get("stage_id") == stage.id]
    assert (run.info.status, "reason" in run.data.tags) == ("FINISHED", False)
    assert run.info.start_time == round(1000 * store.read_commit(stage.id).started_at)
    files = {file.path for file in tracker.client.list_artifacts(run.info.run_id)}
    assert "traceback.txt" not in files
    assert "history.parquet" in files
