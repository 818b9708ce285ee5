"""What a plan finds in the data before anything is trained on it."""

import json
from collections import Counter
from functools import partial

import pytest
from data_files import noise, write_mnist, write_parquet

from osr_core.data import READERS
from osr_core.data.checks import class_counts, task_problems
from osr_core.data.splits import ClassSplit, class_split
from osr_core.errors import ConfigError, DataError, MissingDataError
from sweeps.planning.data import (
    more_published,
    partial_data,
    placeholders,
    plan_with_data,
    small_classes,
    unused_classes,
)
from sweeps.planning.plan import make_plan
from sweeps.planning.spec import parse_spec

ANY = {"channels": 3, "validation": 0.0}


def split_of(known, unknown, name="parquet:birds@8"):
    """A split of birds."""
    return ClassSplit(name, "mine", 0, name, tuple(known), name, tuple(unknown))


def write(root, subset, labels, names=None):
    """Some birds."""
    write_parquet(
        root / f"birds-{subset}.parquet", noise(len(labels), 8, 8, 3), labels, names=names
    )


def problems(root, split, **asked):
    """What is wrong."""
    return list(task_problems(root, split, partial(class_counts, root), **{**ANY, **asked}))


def test_every_class_of_a_split_needs_images_in_both_subsets(tmp_path):
    """Known ones in both, unknown ones in the test; all is said at once, with names."""
    write(tmp_path, "train", [0, 0, 3], names=["auk", "bee-eater", "crow", "dove"])
    write(tmp_path, "test", [0, 0, 1])
    found = problems(tmp_path, split_of([0, 1, 3], [2]))
    assert found == [
        "parquet:birds@8/train holds no image of class 1 bee-eater: 1 of the 3 known classes of "
        "split parquet:birds@8/0 are missing. It has images of 2 classes.",
        "parquet:birds@8/test holds no image of class 3 dove: 1 of the 3 known classes of split "
        "parquet:birds@8/0 are missing. It has images of 2 classes.",
        "parquet:birds@8/test holds no image of class 2 crow: 1 of the 1 unknown classes of split "
        "parquet:birds@8/0 are missing. It has images of 2 classes.",
    ]


def test_a_part_of_a_published_test_set_is_refused(tmp_path):
    """Its first rows in label order have some of the classes, and a table would state all."""
    write_parquet(tmp_path / "cifar10-train.parquet", noise(20, 32, 32, 3), [*range(10)] * 2)
    write_parquet(tmp_path / "cifar10-test.parquet", noise(5, 32, 32, 3), [0, 0, 1, 1, 2])
    found = problems(tmp_path, class_split("cifar10", "cac", 0))
    assert [text.partition(":")[0] for text in found] == [
        "cifar10/test holds no image of class 4 deer, 5 dog, 9 truck",
        "cifar10/test holds no image of class 3 cat, 6 frog, 7 horse, 8 ship",
    ]


def test_channels_that_the_images_cannot_have_are_said(tmp_path):
    """Colour is not turned into grey; grey may be repeated."""
    write(tmp_path, "train", [0, 1])
    write(tmp_path, "test", [0, 1, 2])
    (found,) = problems(tmp_path, split_of([0, 1], [2]), channels=1)
    assert found.startswith(
        "backbone.channels is 1, and the images of parquet:birds@8 can be seen "
    )
    write_mnist(tmp_path, "train")
    write_mnist(tmp_path, "test")
    split = class_split("mnist", "cac", 0)
    assert problems(tmp_path, split, channels=1) == problems(tmp_path, split, channels=3) == []


@pytest.mark.parametrize(
    ("fraction", "words"), [(0.1, "holds out no image at all"), (0.9, "leaves no training image")]
)
def test_held_out_images_must_be_some_and_not_all(tmp_path, fraction, words):
    """Of four images a class, a tenth is none and nine tenths are all."""
    write(tmp_path, "train", [0, 1] * 4)
    write(tmp_path, "test", [0, 1, 2])
    (found,) = problems(tmp_path, split_of([0, 1], [2]), validation=fraction)
    assert words in found
    assert problems(tmp_path, split_of([0, 1], [2]), validation=0.5) == []


def test_a_plan_says_all_of_it_at_once(tmp_path):
    """Before Ray starts, not per stage after hours."""
    write(tmp_path, "train", [0, 1, 2])
    write(tmp_path, "test", [0, 1])
    splits = [{"known": [0, 1], "unknown": [2]}, {"known": [1, 7], "unknown": [0]}]
    (tmp_path / "mine.json").write_text(json.dumps({"splits": {"parquet:birds@8": splits}}))
    values = {"name": "birds", "protocol": str(tmp_path / "mine.json"), "splits": [0, 1]}
    values |= {"datasets": ["parquet:birds@8"], "methods": {"softmax": {}}}
    values |= {"training": {"epochs": 1}, "backbone": {"channels": 1, "image_size": 8}}
    with pytest.raises(DataError) as error:
        plan_with_data(parse_spec(values, "birds"), tmp_path)
    lines = str(error.value).splitlines()
    assert [line[:48] for line in lines] == [
        "parquet:birds@8/test holds no image of class 2: ",
        "backbone.channels is 1, and the images of parque",
        "parquet:birds@8/train holds no image of class 7:",
        "parquet:birds@8/test holds no image of class 7: ",
    ]


def test_classes_that_no_split_of_ones_own_names_are_said(tmp_path):
    """Their images are read and never used; a number that has shifted shows here."""
    write(tmp_path, "train", [0, 1, 4], names=["auk", "bee-eater", "crow", "dove", "emu"])
    write(tmp_path, "test", [0, 1, 2, 3, 4])
    splits = [{"known": [0, 1], "unknown": [2]}, {"known": [1, 0], "unknown": [3]}]
    (tmp_path / "mine.json").write_text(json.dumps({"splits": {"parquet:birds@8": splits}}))
    values = {"name": "birds", "protocol": str(tmp_path / "mine.json"), "splits": [0]}
    values |= {"datasets": ["parquet:birds@8"], "training": {"epochs": 1}, "methods": {"mls": {}}}
    plan = plan_with_data(parse_spec(values, "birds"), tmp_path)
    assert list(unused_classes(plan, tmp_path, partial(class_counts, tmp_path))) == [
        f"parquet:birds@8 has 5 classes, and the splits of {tmp_path}/mine.json name 3 of them; "
        "not 3 dove, 4 emu."
    ]
    plan = plan_with_data(parse_spec(values | {"splits": [0, 1]}, "birds"), tmp_path)
    (told,) = unused_classes(plan, tmp_path, partial(class_counts, tmp_path))
    assert "name 4 of them; not 4 emu." in told


def test_a_part_of_a_published_data_set_does_not_pass_for_the_whole():
    """CIFAR-10 with a fifth of its images gives other numbers than the papers'."""
    values = {"name": "x", "datasets": ["digits", "cifar10"], "splits": [0, 1]}
    spec = parse_spec({**values, "methods": {"mls": {}}}, "x")
    plan = make_plan(spec, placeholders(spec.datasets))

    def counts(share):
        return lambda name, _: Counter(dict.fromkeys(range(10), 140 if name == "digits" else share))

    assert list(partial_data(plan, counts(5000))) == []
    (told,) = partial_data(plan, counts(1000))
    assert "there are 9,000 training images of cifar10, and 45,000 were published" in told


def test_only_exact_numbers_tell_a_part_from_the_whole():
    """Of ImageNet only the mean over all classes is known, and no class has it."""
    whole = {"cifar10": 50_000, "tinyimagenet": 100_000, "mnist": 60_000}
    for name, number in whole.items():
        classes = range(len(READERS[name].classes))
        assert more_published(name, classes, number) is None
        assert more_published(name, classes, number - 1) == number
    for name in ("imagenet100", "imagenet200", "imagenet_lt", "folder:own"):
        assert more_published(name, range(1000), 1) is None


def test_what_is_missing_is_said_of_every_data_set(tmp_path):
    """All of it at once; what two of them need, once."""
    values = {"name": "x", "datasets": ["cifar10", "digits", "cifar+10", "mnist"], "splits": [0]}
    with pytest.raises(MissingDataError) as error:
        plan_with_data(parse_spec({**values, "methods": {"mls": {}}}, "x"), tmp_path)
    said = str(error.value)
    assert [said.count(f"{title}: ") for title in ("CIFAR-10", "CIFAR-100", "MNIST")] == [1, 1, 1]


def test_a_class_that_does_not_exist_is_no_spec(tmp_path):
    """Where a reader knows its classes the spec itself is refused."""
    (tmp_path / "mine.json").write_text(
        '{"splits": {"digits": [{"known": [0, 12], "unknown": [1]}]}}'
    )
    values = {"name": "x", "datasets": ["digits"], "splits": [0], "methods": {"softmax": {}}}
    with pytest.raises(ConfigError, match="known class 12 does not exist; digits has 0 to 9"):
        parse_spec({**values, "protocol": str(tmp_path / "mine.json")}, "x")


def test_settings_that_ask_for_more_images_than_a_class_has_are_said(tmp_path):
    """Ten prototypes of six images are six, some of them twice; trained without a word so far."""
    write(
        tmp_path, "train", [0] * 9 + [1] * 6 + [2] * 7, names=["auk", "bee-eater", "crow", "dove"]
    )
    write(tmp_path, "test", [0, 1, 2, 3])
    splits = [{"known": [0, 2], "unknown": [3]}, {"known": [0, 1, 2], "unknown": [3]}]
    (tmp_path / "mine.json").write_text(json.dumps({"splits": {"parquet:birds@8": splits}}))
    values = {"name": "birds", "protocol": str(tmp_path / "mine.json"), "splits": [0, 1]}
    values |= {"datasets": ["parquet:birds@8"], "training": {"epochs": 1}}
    values["methods"] = {"openmax": {}, "pmal": {"prototypes": [6, 10]}, "knn": {"neighbours": 7}}
    few = "and parquet:birds@8 class 1 bee-eater has 6 training images"
    plan = plan_with_data(parse_spec(values, "birds"), tmp_path)
    assert set(small_classes(plan, tmp_path, partial(class_counts, tmp_path))) == {
        f"openmax: tail is 20, {few}: all of its distances are its tail.",
        f"pmal: prototypes is 10, {few}: images are repeated.",
        f"knn: neighbours is 7, {few}: its k-th neighbours lie in other classes.",
    }
