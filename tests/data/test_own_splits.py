"""Split files of one's own: numbers or names of classes, and what JSON would keep back."""

import json

import pytest
from data_files import noise, png, write_parquet
from typer.testing import CliRunner

from osr_core.data import READERS
from osr_core.data.split_files import names_under
from osr_core.data.splits import class_split
from osr_core.errors import ConfigError, DataError
from sweeps.commands.app import app
from sweeps.planning.data import placeholders, plan_with_data
from sweeps.planning.plan import make_plan
from sweeps.planning.record import plan_of, plan_record
from sweeps.planning.spec import load_spec


def split_in(tmp_path, text, name="digits", index=0):
    """A split of a file."""
    path = tmp_path / "mine.json"
    path.write_text(text)
    return class_split(name, str(path), index)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"splits": {"digits": [], "digits": []}}', "is not JSON: the key 'digits' is given twi"),
        ('{"splits": {"digits": [{"known": [], "known": []}]}}', "the key 'known' is given twice"),
        ("[" * 100_000, "is not JSON: maximum recursion depth"),
        ("9" * 5000, "is not JSON: Exceeds the limit"),
    ],
    ids=["dataset twice", "side twice", "deep", "long"],
)
def test_what_json_readers_keep_back_is_said(tmp_path, text, message):
    """Of a key that is given twice, Python would keep the last."""
    with pytest.raises(ConfigError, match=message):
        split_in(tmp_path, text)


def test_classes_may_be_named(tmp_path):
    """Where they are known beforehand; the same split as by number."""
    by_name = {"known": ["cat", "airplane"], "unknown": ["truck"]}
    found = split_in(tmp_path, json.dumps({"splits": {"cifar10": [by_name]}}), "cifar10")
    assert (found.known, found.unknown) == ((0, 3), (9,))


def test_a_side_of_another_dataset_has_its_own_names(tmp_path):
    """The unknown classes of CIFAR+10 are CIFAR-100's."""
    split = {"known": [0, 1], "unknown": ["apple", "bear"]}
    found = split_in(tmp_path, json.dumps({"splits": {"cifar+10": [split]}}), "cifar+10")
    assert found.unknown == (0, 3)


@pytest.mark.parametrize(
    ("known", "unknown", "message"),
    [
        (["cat", "dgo"], [0], "cifar10/0: known class 'dgo' does not exist. Did you mean 'dog'?"),
        (["cat", "cat", "dog"], [0], "known lists cat more than once"),
        (["cat", "dog"], [3], "cat cannot be both known and unknown"),
        (["cat"], [0], "at least 2 known must be given"),
    ],
)
def test_mistakes_in_names_are_told_by_name(tmp_path, known, unknown, message):
    """Also where the other side has numbers."""
    split = {"known": known, "unknown": unknown}
    with pytest.raises(ConfigError) as error:
        split_in(tmp_path, json.dumps({"splits": {"cifar10": [split]}}), "cifar10")
    assert message in str(error.value)


@pytest.fixture
def birds(tmp_path):
    """Three classes whose order only the files tell, a split that names them, and a spec."""
    for subset in ("train", "test"):
        path = tmp_path / f"birds-{subset}.parquet"
        write_parquet(path, noise(6, 8, 8, 3), [0, 1, 2] * 2, names=["owl", "crow", "auk"])
    split = {"known": ["auk", "owl"], "unknown": ["crow"]}
    lists = {"splits": {"parquet:birds@8": [split]}}
    (tmp_path / "birds.json").write_text(json.dumps(lists))
    (tmp_path / "birds.yaml").write_text(
        "name: birds\nprotocol: birds.json\ndatasets: ['parquet:birds@8']\nsplits: [0]\n"
        "methods: {softmax: {}}\ntraining: {epochs: 1}\nbackbone: {image_size: 8}\n"
    )
    return tmp_path


def test_names_of_own_images_have_numbers_once_the_files_are_read(birds):
    """They stand in the plan, and in what the sweep keeps of it."""
    plan = plan_with_data(load_spec(str(birds / "birds.yaml")), birds)
    (split,) = {trial.split for trial in plan.trials}
    assert (split.known, split.unknown) == ((0, 2), (1,))


def test_a_sweep_keeps_the_numbers_and_needs_neither_file_nor_data(birds):
    """As `osr sync` has it, on another machine."""
    plan = plan_with_data(load_spec(str(birds / "birds.yaml")), birds)
    record = json.loads(json.dumps(plan_record(plan, "code")))
    for path in birds.iterdir():
        path.unlink()
    assert plan_of(record).stages.keys() == plan.stages.keys()


def test_a_sweep_over_named_classes_is_counted_without_its_data(birds):
    """By numbers that stand for those to come."""
    spec = load_spec(str(birds / "birds.yaml"))
    plan = make_plan(spec, placeholders(spec.datasets))
    assert plan.counts() == plan_with_data(spec, birds).counts()


def test_a_name_that_own_images_lack_is_told_before_any_stage(birds):
    """With the names that there are."""
    path = birds / "birds.json"
    path.write_text(path.read_text().replace("crow", "crwo"))
    spec = load_spec(str(birds / "birds.yaml"))
    with pytest.raises(ConfigError, match=r"'crwo' does not exist. Did you mean 'crow'\?"):
        plan_with_data(spec, birds)


def test_splits_are_shown_by_names_and_a_folder_of_ones_own_is_expanded(birds, monkeypatch):
    """A shell leaves the ~ of --protocol=~/birds.json as it is."""
    monkeypatch.setenv("HOME", str(birds))
    command = ["splits", "parquet:birds@8", "--protocol=~/birds.json"]
    shown = CliRunner().invoke(app, [*command, f"--data-root={birds}", "--json"])
    (row,) = json.loads(shown.stdout)
    assert (row["known"], row["known_names"]) == ([0, 2], ["owl", "auk"])
    unread = CliRunner().invoke(app, command)
    assert isinstance(unread.exception, DataError | SystemExit)
    assert "needs its files" in f"{unread.exception}{unread.output}"


def test_tinyimagenet_goes_by_names_and_by_wnids(tmp_path):
    """A split of one's own is often a list of wnids."""
    text = (
        '{"splits": {"tinyimagenet": [{"known": ["n01443537", "bullfrog"], "unknown": ["koala"]}]}}'
    )
    split = split_in(tmp_path, text, "tinyimagenet")
    assert (split.known, split.unknown) == ((0, 2), (12,))


def test_accents_and_a_mark_at_the_beginning_make_no_other_names(tmp_path):
    """MacOS writes e and its accent apart, and editors of Windows begin a file with a mark."""
    apart, whole = "cafe\u0301", "caf\u00e9"
    for subset, name in (("train", whole), ("test", apart)):
        for number, each in enumerate((name, "owl", "dove")):
            folder = tmp_path / "birds" / subset / each
            folder.mkdir(parents=True)
            (folder / "1.png").write_bytes(png(noise(3, 8, 8, 3)[number]))
    own = READERS["folder:birds@8"]
    assert own.class_names(tmp_path) == [whole, "dove", "owl"]
    assert own.labels(tmp_path, "test").tolist() == own.labels(tmp_path, "train").tolist()
    path = tmp_path / "mine.json"
    split = {"known": [apart, "owl"], "unknown": ["dove"]}
    text = json.dumps({"splits": {"folder:birds@8": [split]}}, ensure_ascii=False)
    path.write_text("\ufeff" + text, encoding="utf-8")
    assert class_split("folder:birds@8", str(path), 0, names_under(tmp_path)).known == (0, 2)
