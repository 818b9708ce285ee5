"""A command and a worker with a data root in a bucket."""

import io
import re
import shutil
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from osr_core.data import READERS
from sweeps.commands.app import app
from sweeps.commands.doctor import _data
from sweeps.home import Home
from sweeps.launch.data_folder import data_folder
from sweeps.launch.launch import run_sweep
from sweeps.launch.state import Launch
from sweeps.planning.spec import load_spec
from sweeps.running import worker
from sweeps.running.data_here import LacksDataError, root_with
from sweeps.running.outcome import Outcome
from sweeps.store.address import bucket_of
from sweeps.store.files import UnreachableError
from tests.bucket import Fault, Proxy
from tests.sweeps.birds import NAME, contents, spec_in, taken
from tests.sweeps.command import call_osr

pytestmark = pytest.mark.usefixtures("new_machine")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("s3://Results/osr", "the data root must be a bucket's URI, s3://bucket/folder"),
        ("https://results/osr", "the data root must be a bucket's URI"),
        ("s3:/results/osr", "the data root must be a bucket's URI"),
        ("s3://results?regin=x", "the data root's option 'regin' does not exist"),
        ("s3://key:hidden@results/osr", "the data root holds a secret key"),
        ("s3://results?endpoint=http://127.0.0.1:1", "server of the data root cannot be reached"),
    ],
)
def test_a_wrong_address_is_refused_before_anything_starts(given: str, words: str, tmp_path: Path):
    """With the code of a wrong request, and no home is made."""
    refused = call_osr("run", spec_in(tmp_path), "--data-root", given, home=tmp_path / "home")
    assert refused.returncode == 2, refused.stderr
    assert words in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert "hidden" not in refused.stdout + refused.stderr
    assert not (tmp_path / "home").exists()


def test_a_path_is_a_folder():
    """Also one with a colon in it."""
    assert [bucket_of(given) for given in (None, "data", "/a:b/c", "~/d", "./s3:/x")] == [None] * 5


def test_nothing_is_taken_for_what_comes_with_a_library(address: str, proxy: Proxy):
    """By driver and worker."""
    digits = READERS["digits"]
    assert data_folder(address, [digits]) is None
    needs = (("digits/test", digits.fingerprint(None, "test")),)
    assert root_with(needs, address, "no-store") is None
    assert proxy.seen == []


def test_a_worker_takes_the_data_and_says_where_it_cannot(
    address: str, local: Path, proxy: Proxy, tmp_path: Path
):
    """A bucket that is away for a while costs an attempt; one without the data, the machine."""
    needs = ((f"{NAME}/test", READERS[NAME].fingerprint(local, "test")),)
    store = str(tmp_path / "store")
    proxy.faults = [Fault("GET .*list-type", "busy")]
    with pytest.raises(UnreachableError):
        root_with(needs, address, store)
    proxy.faults = []
    assert contents(root_with(needs, address, store)) == contents(local)
    before = len(proxy.seen)
    root_with(needs, address, store)
    assert len(proxy.seen) == before, "of all stages of a process the first one looks"
    with pytest.raises(LacksDataError, match="has changed since this was planned"):
        root_with(((f"{NAME}/test", "0" * 32),), address, store)


def test_the_driver_and_a_worker_on_another_machine_take_the_data_each(
    address: str, tmp_path: Path, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
):
    """The worker is told the bucket, not the folder that the driver has made of it."""
    outcomes: list[Outcome] = []

    def elsewhere(launch: Launch, *given: object) -> None:
        shutil.rmtree(tmp_path / "cache")
        identities = {stage_id: stage.identity for stage_id, stage in launch.plan.stages.items()}
        place = launch.workplace
        outcomes.extend(worker.work(stage_id, identities, place) for stage_id in identities)

    monkeypatch.setattr("sweeps.launch.launch.run_passes", elsewhere)
    spec, told = load_spec(str(spec_in(tmp_path))), io.StringIO()
    launch = run_sweep(spec, Home(tmp_path / "home"), address, Console(file=told, width=200))
    assert [outcome.reason for outcome in outcomes] == [None, None]
    assert launch.num_done == 1
    assert told.getvalue().startswith("taking 6 files, ")
    assert len(taken(proxy)) == 12


def test_files_are_fetched_into_no_bucket(address: str):
    """They would land in a folder called "s3:"."""
    refused = CliRunner().invoke(app, ["datasets", "fetch", "mnist", "--data-root", address])
    assert "files are fetched into a folder, not into 's3://" in str(refused.exception)


def test_doctor_looks_into_the_bucket_and_takes_nothing(address: str, tmp_path: Path, proxy: Proxy):
    """It says how much it holds."""
    (found, *_) = _data(address)
    assert (found.check, found.state) == ("data", "ok")
    assert re.fullmatch(r"s3://results/\w+: 6 files, 0.1 MB", found.detail)
    assert taken(proxy) == []
