"""`osr datasets`: what is there, and fetching what is not."""

import json
import re

import pytest
from data_files import noise, write_mnist, write_parquet
from typer.testing import CliRunner

from osr_core.data import READERS
from osr_core.data import fetch as fetching
from osr_core.data.inventory import inventory
from sweeps.commands.app import app


@pytest.fixture
def root(tmp_path):
    """MNIST whole, CIFAR-10's test images alone."""
    write_mnist(tmp_path)
    write_mnist(tmp_path, "test")
    write_parquet(tmp_path / "cifar10-test.parquet", noise(2, 32, 32, 3), [0, 1])
    return tmp_path


def osr(*arguments, command="datasets"):
    """The command, as typed."""
    return CliRunner().invoke(app, [command, *map(str, arguments)], env={"COLUMNS": "200"})


def test_what_is_there_has_size_and_fingerprint(root):
    """What is missing has none; licences are told in either case."""
    rows = {row["reader"]: row for row in inventory(root, READERS)}
    assert rows.keys() == READERS.keys()
    mnist = rows["mnist"]
    assert mnist["train"] == READERS["mnist"].fingerprint(root, "train")
    assert mnist["bytes"] == sum(path.stat().st_size for path in root.glob("*.gz"))
    assert rows["cifar10"]["train"] is None
    assert rows["cifar10"]["bytes"] == (root / "cifar10-test.parquet").stat().st_size
    assert (rows["svhn"]["train"], rows["svhn"]["bytes"]) == (None, None)
    assert rows["cifar100"]["datasets"] == ["cifar100", "cifar+10", "cifar+50"]
    assert all(row["licence"] for row in rows.values())


def test_datasets_lists_by_default(root):
    """What is there, on one line each; the fingerprint stands with a data set's name."""
    table = osr("--data-root", root)
    assert table.exit_code == 0
    fingerprint = READERS["mnist"].fingerprint(root, "test")
    assert "here      here" in table.output
    one = osr("mnist", "--data-root", root).output
    there = len(READERS["mnist"].labels(root, "train"))
    assert f"here, {there} of 60,000 published images" in one
    assert fingerprint in one
    assert fingerprint in osr("--data-root", root, "mnist").output
    assert "missing" in table.output
    rows = {row["reader"]: row for row in json.loads(osr("--data-root", root, "--json").output)}
    assert rows["mnist"]["test"] == fingerprint
    assert rows["svhn"]["train"] is None


def test_fetch_puts_files_into_the_data_root(root, monkeypatch):
    """And says where they are."""
    monkeypatch.setattr(fetching, "fetch", lambda name, folder: [folder / f"{name}.mat"])
    done = osr("fetch", "svhn", "--data-root", root)
    assert (done.exit_code, done.output.strip()) == (0, f"{root}/svhn.mat")


def test_fetch_without_a_data_root_says_how_to_give_one():
    """Nothing is put into the working folder by chance."""
    error = osr("fetch", "svhn").exception
    assert "--data-root" in str(error)


def test_splits_lists_the_datasets_that_the_protocol_has():
    """No published protocol divides CIFAR-100, and only PMAL's ImageNet."""
    rows = json.loads(osr("--json", command="splits").output)
    assert {"svhn/4", "tinyimagenet/0"} <= {row["split"] for row in rows}
    assert not any(row["split"].startswith(("cifar100/", "imagenet")) for row in rows)
    rows = json.loads(osr("--protocol", "pmal", "--json", command="splits").output)
    assert [row["openness"] for row in rows] == [0.5736, 0.4226, 0.0794]


def test_a_protocol_of_any_number_of_splits_shows_the_first_ones():
    """It listed none, though the error for CIFAR-100 says to choose it."""
    rows = json.loads(osr("cifar100", "--protocol", "random", "--json", command="splits").output)
    assert [row["split"] for row in rows] == [f"cifar100/{index}" for index in range(5)]
    shown = osr("cifar100", "--protocol", "random", command="splits").output
    assert "Any number is a split" in shown
    assert "Other protocols" not in shown  # no other one has CIFAR-100


@pytest.mark.parametrize("name", READERS)
def test_the_listing_that_a_data_set_names_has_its_splits(name):
    """`osr splits cifar100` is refused: the default protocol has none of it."""
    words, *_ = re.findall(r"osr splits (\S+(?: --protocol \S+)?)", osr(name).output)
    listed = osr(*words.split(), command="splits")
    assert listed.exit_code == 0
    assert "/0" in listed.output


def test_what_is_there_and_cannot_be_read_is_not_called_missing(root):
    """With the reason, once."""
    (root / "cifar10-train-0-of-2.parquet").touch()
    done = osr("--data-root", root)
    (line,) = [line for line in done.stdout.splitlines() if line.split()[:1] == ["cifar10"]]
    assert "broken" in line
    assert done.stderr.count("note: ") == 1
    assert "holds 1 of the 2 parts of cifar10-train" in done.stderr
    rows = json.loads(osr("--json", "--data-root", root).stdout)
    assert [row["reader"] for row in rows if row["problems"]] == ["cifar10"]


def test_a_data_folder_that_is_none_is_said_once(tmp_path):
    """All of it counted as missing, and nothing said why."""
    done = osr("--data-root", tmp_path / "nowhere")
    assert done.stderr.count("note: ") == 1
    assert "nowhere' cannot be read: No such file" in done.stderr
