"""A machine that lacks a data set takes it from the store once, and knows it by its fingerprint."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from osr_core.data import READERS
from osr_core.data.base import Reader
from osr_core.data.imagenet import LT_TRAIN, ImageNetLT
from osr_core.data.tinyimagenet import FOLDER, WNIDS
from osr_core.errors import DataError
from sweeps.home import Home
from sweeps.launch.share_data import share
from sweeps.planning.data import plan_with_data
from sweeps.planning.known_data import SUBSETS
from sweeps.planning.plan import Plan
from sweeps.planning.spec import load_spec
from sweeps.running import data_here, worker
from sweeps.running.data_here import LacksDataError, root_with
from sweeps.running.outcome import Cause, Outcome
from sweeps.running.workplace import Workplace
from sweeps.store.shared_data import SharedData
from sweeps.store.store import Store
from tests.data.data_files import noise, png, write_mnist
from tests.sweeps.birds import NAME, spec_in, write_birds


@pytest.fixture
def birds(tmp_path: Path) -> Path:
    """Eight images of each of three classes, for training and for testing."""
    write_birds(tmp_path / "data", 0)
    return tmp_path / "data"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """With an empty store."""
    return Home(tmp_path / "home")


@pytest.fixture(autouse=True)
def new_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was taken from a store here before."""
    monkeypatch.setenv("OSR_CACHE", str(tmp_path / "cache"))
    for each in (data_here._given, data_here._check):
        each.cache_clear()


def given(root: Path, home: Home, name: str = NAME) -> None:
    """Share a data set."""
    share(name, root, home, lambda size: None)


def plan_of(root: Path | None, home: Home) -> Plan:
    """One fit and its score."""
    told = SharedData.at(home.store).facts
    return plan_with_data(load_spec(str(spec_in(home.root.parent))), root, told)


def worked(plan: Plan, home: Home, root: Path | None = None) -> list[Outcome]:
    """All stages of a plan, in a worker with a data root."""
    place = Workplace(store=home.store, data_root=None if root is None else str(root))
    identities = {stage_id: stage.identity for stage_id, stage in plan.stages.items()}
    return [worker.work(stage_id, identities, place) for stage_id in plan.stages]


def test_a_plan_without_the_files_is_the_plan_with_them(birds: Path, home: Home):
    """It is made of what the store was told: fingerprints, classes and how many images of each."""
    assert share(NAME, birds, home, lambda size: None) == (2, True)
    assert share(NAME, birds, home, lambda size: None) == (2, False)
    here, away = plan_of(birds, home), plan_of(None, home)
    assert away.stages == here.stages
    assert away.fingerprints == here.fingerprints


def test_files_are_taken_once_and_decoded_once(
    birds: Path, home: Home, monkeypatch: pytest.MonkeyPatch
):
    """Of all stages on a machine, the first one does it; results are those of local files."""
    given(birds, home)
    read, taken = SharedData.read, []

    def noted(shared: SharedData, checksum: str) -> bytes:
        taken.append(checksum)
        return read(shared, checksum)

    monkeypatch.setattr(SharedData, "read", noted)
    plan, local = plan_of(None, home), Home(home.root.with_name("local"))
    assert [outcome.reason for outcome in worked(plan, home)] == [None, None]
    assert len(taken) == 2
    assert [outcome.cause for outcome in worked(plan, local, birds)] == [None, None]
    (trial,) = plan.trials
    name = "scores.parquet"
    assert Store(home.store).read(trial.id, name) == Store(local.store).read(trial.id, name)


def test_a_machine_that_cannot_get_the_data_says_so_by_name(birds: Path, home: Home):
    """Nothing is wrong with the stage, and another machine may have them."""
    plan = plan_of(birds, home)
    fit, *_ = plan.stages
    first, *_ = worked(plan, home)
    assert first.cause == Cause.LACKS_DATA
    start = f"{socket.gethostname()} has no {NAME}/train (fingerprint "
    assert str(first.reason).startswith(start)
    assert f"or share them from one that has them: osr datasets share {NAME}." in str(first.reason)
    assert Store(home.store).committed([fit]) == set()


def test_what_arrives_damaged_is_not_used(birds: Path, home: Home):
    """The machine says so; the next try takes what is whole then."""
    given(birds, home)
    files = list((Path(home.store) / "data" / "files").iterdir())
    whole = [path.read_bytes() for path in files]
    for path in files:
        path.write_bytes(path.read_bytes()[:-1])
    plan = plan_of(birds, home)
    first, *_ = worked(plan, home)
    assert (first.cause, "is missing or damaged" in str(first.reason)) == (Cause.LACKS_DATA, True)
    for path, content in zip(files, whole, strict=True):
        path.write_bytes(content)
    assert [outcome.cause for outcome in worked(plan, home)] == [None, None]


def test_other_files_under_the_data_root_are_not_taken_for_the_planned_ones(
    birds: Path, home: Home, tmp_path: Path
):
    """A machine whose copy is of another version takes the right one from the store."""
    write_birds(tmp_path / "other", 1)
    plan = plan_of(birds, home)
    first, *_ = worked(plan, home, tmp_path / "other")
    assert first.cause == Cause.LACKS_DATA
    assert "has changed since this was planned" in str(first.reason)
    given(tmp_path / "other", home)
    given(birds, home)
    assert [outcome.cause for outcome in worked(plan, home, tmp_path / "other")] == [None, None]


def test_of_several_versions_that_are_elsewhere_none_is_chosen(
    birds: Path, home: Home, tmp_path: Path
):
    """The files at hand say which is meant; else a user must."""
    write_birds(tmp_path / "other", 1)
    given(birds, home)
    given(tmp_path / "other", home)
    with pytest.raises(DataError, match="the store has 2 versions of parquet:birds"):
        plan_of(None, home)
    assert plan_of(birds, home).fingerprints == plan_of(birds, Home(tmp_path / "x")).fingerprints


def mnist(root: Path) -> Reader:
    """Files beside each other."""
    for subset in SUBSETS:
        write_mnist(root, subset)
    return READERS["mnist"]


def tinyimagenet(root: Path) -> Reader:
    """Folders of images, and a list."""
    places = [
        f"train/{WNIDS[3]}/images/a.JPEG",
        f"train/{WNIDS[0]}/images/b.JPEG",
        "val/images/c.JPEG",
    ]
    for number, place in enumerate(places):
        path = root / FOLDER / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(noise(1, 64, 64, 3, seed=number)[0]))
    listed = root / FOLDER / "val" / "val_annotations.txt"
    listed.write_text(f"c.JPEG\t{WNIDS[3]}\t0\t32\t44\t62\n")
    return READERS["tinyimagenet"]


def imagenet_lt(root: Path) -> Reader:
    """A list that names images in the folders of others."""
    for place in ("train/n01/a.JPEG", "train/n02/b.JPEG", "val/n01/c.JPEG", "val/n02/d.JPEG"):
        path = root / "imagenet" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(noise(1, 16, 12, 3, seed=len(place))[0]))
    (root / "imagenet" / LT_TRAIN).write_text("train/n01/a.JPEG 0\ntrain/n02/b.JPEG 1\n")
    settings = {"classes": ("n01", "n02"), "image_size": 8}
    reader: Reader = type("LongTailed", (ImageNetLT,), settings)()
    return reader


@pytest.mark.parametrize("made", [mnist, tinyimagenet, imagenet_lt])
def test_what_is_shared_is_all_that_a_reader_reads(
    made: Callable[[Path], Reader], home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """However its files lie: in folders, under lists, or beside each other."""
    root = tmp_path / "files"
    reader = made(root)
    monkeypatch.setitem(READERS, reader.name, reader)
    given(root, home, reader.name)
    for subset in SUBSETS:
        needs = ((f"{reader.name}/{subset}", reader.fingerprint(root, subset)),)
        taken = root_with(needs, None, home.store)
        assert taken is not None
        here, there = reader.at(root, subset, 8), reader.at(taken, subset, 8)
        assert torch.equal(here.images[:], there.images[:])
        assert torch.equal(here.labels, there.labels)


def test_two_data_sets_are_taken_into_one_place(birds: Path, home: Home, tmp_path: Path):
    """Known and unknown classes may be of different ones; no file is taken twice."""
    mnist(tmp_path / "mnist")
    given(birds, home)
    given(tmp_path / "mnist", home, "mnist")
    ours = (f"{NAME}/test", READERS[NAME].fingerprint(birds, "test"))
    theirs = ("mnist/test", READERS["mnist"].fingerprint(tmp_path / "mnist", "test"))
    alone, both = (root_with(needs, None, home.store) for needs in ((ours,), (theirs, ours)))
    assert alone is not None
    assert both is not None
    parquet, packed = both / "birds-test.parquet", both / "t10k-images-idx3-ubyte.gz"
    assert parquet.samefile(alone / "birds-test.parquet")
    assert packed.exists()
    with pytest.raises(LacksDataError, match="has no mnist/train"):
        root_with((("mnist/train", "0" * 32),), None, home.store)
