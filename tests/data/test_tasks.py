"""Tasks: what training and scoring get to see."""

import os

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from data_files import noise, write_mnist, write_parquet
from PIL import Image

from osr_core.data import BENCHMARKS, READERS, UNKNOWN, ImageSet, imageset
from osr_core.data.imageset import resized
from osr_core.data.splits import class_split
from osr_core.data.tasks import TestSet, fingerprints, holdout, known_train, open_test
from osr_core.errors import ConfigError, DataError


def task_of(split, prints):
    """As `osr_core.trial` makes it."""
    return {
        "dataset": split.known_from,
        "known": list(split.known),
        "split": split.index,
        "fingerprint": prints[f"{split.known_from}/train"],
    }


def scoring_config(split, prints):
    """As `osr_core.trial` makes it."""
    names = {split.known_from, split.unknown_from}
    return {
        "known_from": split.known_from,
        "known": list(split.known),
        "unknown_from": split.unknown_from,
        "unknown": list(split.unknown),
        "fingerprints": {name: prints[f"{name}/test"] for name in names},
    }


DIGITS = class_split("digits", "cac", 0)
PRINTS = fingerprints(None, BENCHMARKS["digits"])


@pytest.fixture
def cifar(tmp_path):
    """A folder with 20 images of each file that CIFAR+N needs; classes 0, 5, 10, ... 95."""
    for name, seed, step in (
        ("cifar10-train", 0, 0),
        ("cifar10-test", 1, 0),
        ("cifar100-test", 2, 5),
    ):
        labels = [row * step if step else row % 10 for row in range(20)]
        write_parquet(tmp_path / f"{name}.parquet", noise(20, 32, 32, 3, seed=seed), labels)
    return tmp_path


# -- training ------------------------------------------------------------------------------------


def test_training_sees_known_classes_only_relabelled_by_sorted_position():
    """Against a slow loop over the reader's images."""
    seen = known_train(None, task_of(DIGITS, PRINTS), image_size=16, channels=1)
    everything = READERS["digits"].load(None, "train")
    rows = [row for row in range(len(everything)) if everything.labels[row] in DIGITS.known]
    assert torch.equal(seen.images, everything.images[rows])
    assert seen.labels.tolist() == [
        sorted(DIGITS.known).index(everything.labels[row]) for row in rows
    ]


def test_the_order_of_the_known_classes_does_not_matter():
    """ARPL lists them unsorted: the label is the position in the sorted list all the same."""
    task = task_of(DIGITS, PRINTS)
    backwards = {**task, "known": task["known"][::-1]}
    first, second = (
        known_train(None, each, image_size=16, channels=1) for each in (task, backwards)
    )
    assert torch.equal(first.labels, second.labels)


def test_images_are_resized_and_rounded(tmp_path):
    """MNIST is 28 x 28 on disk and seen at 32 x 32."""
    images, _ = write_mnist(tmp_path)
    write_mnist(tmp_path, "test")
    split = class_split("mnist", "cac", 0)
    task = task_of(split, fingerprints(tmp_path, BENCHMARKS["mnist"]))
    seen = known_train(tmp_path, task, image_size=32, channels=1).images
    row = next(row for row in range(20) if row % 10 in split.known)
    assert seen.dtype == torch.uint8
    assert torch.equal(seen[0], by_pil(torch.from_numpy(images[row])[None], 32))


def by_pil(image, side):
    """(C, side, side) of one image (C, H, W), a channel at a time."""
    pictures = [Image.fromarray(channel.numpy()) for channel in image]
    small = [picture.resize((side, side), Image.Resampling.BILINEAR) for picture in pictures]
    return torch.stack([torch.from_numpy(np.array(picture)) for picture in small])


@pytest.mark.parametrize(("channels", "before", "after"), [(1, 28, 32), (3, 64, 32), (3, 32, 64)])
def test_images_are_resized_as_pil_does(channels, before, after):
    """The papers' code does it with PIL, whose rounding differs from exact arithmetic's."""
    size = (20, channels, before, before)
    images = torch.randint(256, size, generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    expected = torch.stack([by_pil(image, after) for image in images])
    assert torch.equal(resized(images, after), expected)
    exact = F.interpolate(images.float(), (after, after), mode="bilinear", antialias=True).round()
    assert (exact - expected).abs().max() == 1


def test_shrinking_averages():
    """Antialiased: a fine chequerboard becomes grey and does not depend on the phase."""
    board = (torch.arange(32)[:, None] + torch.arange(32)) % 2 * 255
    small = resized(board[None, None].to(torch.uint8), 8)
    assert small.shape == (1, 1, 8, 8)
    assert (small.int() - 128).abs().max() <= 1


def test_images_of_the_right_size_are_not_touched():
    """Resampling on the spot would only cost."""
    images = torch.zeros(2, 1, 16, 16, dtype=torch.uint8)
    assert resized(images, 16) is images


def test_grey_is_repeated_for_three_channels():
    """As ARPL does with MNIST."""
    one = known_train(None, task_of(DIGITS, PRINTS), image_size=16, channels=1).images
    three = known_train(None, task_of(DIGITS, PRINTS), image_size=16, channels=3).images
    assert torch.equal(three, torch.cat([one] * 3, 1))
    assert three.is_contiguous()


def test_colour_is_not_turned_into_grey(cifar):
    """There are several ways to, and no paper does."""
    task = task_of(class_split("cifar10", "cac", 0), fingerprints(cifar, BENCHMARKS["cifar10"]))
    with pytest.raises(ConfigError, match="channels must be 3 for these images, not 1"):
        known_train(cifar, task, image_size=32, channels=1)
    with pytest.raises(ConfigError, match="channels must be 1 or 3 for these images, not 2"):
        known_train(None, task_of(DIGITS, PRINTS), image_size=16, channels=2)


def test_data_that_changed_since_planning_are_refused(cifar):
    """A result would be filed under data it was not made from."""
    split = class_split("cifar10", "cac", 0)
    prints = fingerprints(cifar, BENCHMARKS["cifar10"])
    for name, load, config in (
        ("train", known_train, task_of(split, prints)),
        ("test", open_test, scoring_config(split, prints)),
    ):
        load(cifar, config, image_size=32, channels=3)
        path = cifar / f"cifar10-{name}.parquet"
        write_parquet(path, noise(20, 32, 32, 3, seed=9), [0] * 20)
        os.utime(path, (1, 1))
        with pytest.raises(
            DataError, match=rf"cifar10/{name} has changed since .* planned"
        ) as error:
            load(cifar, config, image_size=32, channels=3)
        assert str(path) in str(error.value)


def test_a_dataset_is_decoded_once_per_process(cifar, monkeypatch):
    """A worker runs many stages on the same data."""
    split = class_split("cifar10", "cac", 0)
    task = task_of(split, fingerprints(cifar, BENCHMARKS["cifar10"]))
    first = known_train(cifar, task, image_size=32, channels=3)
    monkeypatch.setattr(type(READERS["cifar10"]), "at", None)
    second = known_train(cifar, {**task, "known": [0, 1]}, image_size=32, channels=3)
    assert len(second) == 4
    first.images.zero_()
    assert known_train(cifar, task, image_size=32, channels=3).images.any()


def test_a_class_without_training_images_is_named(cifar):
    """The file may hold a selection; only a split that asks for more is wrong."""
    write_parquet(cifar / "cifar10-train.parquet", noise(3, 32, 32, 3), [0, 1, 7])
    task = task_of(class_split("cifar10", "cac", 0), fingerprints(cifar, BENCHMARKS["cifar10"]))
    seen = known_train(cifar, {**task, "known": [7, 0]}, image_size=32, channels=3)
    assert seen.labels.tolist() == [0, 1]
    with pytest.raises(DataError, match="no image of class 5, 9, which the split asks for"):
        known_train(cifar, {**task, "known": [0, 5, 7, 9]}, image_size=32, channels=3)


def test_a_set_too_large_to_copy_stays_in_its_file(cifar, monkeypatch):
    """The same images and labels come out, through training, holdout and scoring."""
    split = class_split("cifar10", "cac", 0)
    prints = fingerprints(cifar, BENCHMARKS["cifar10"])

    def everything():
        train = known_train(cifar, task_of(split, prints), image_size=32, channels=3)
        test = open_test(cifar, scoring_config(split, prints), image_size=32, channels=3)
        return [train, test, *holdout(train, 0.5, seed=1)]

    copied = everything()
    monkeypatch.setattr(imageset, "COPIED_BYTES", 3000)
    for small, large in zip(copied, everything(), strict=True):
        assert isinstance(large.images, imageset.Picked)
        assert large.images.shape == small.images.shape
        assert torch.equal(large.images[:], small.images)
        assert torch.equal(large.labels, small.labels)


# -- testing -------------------------------------------------------------------------------------


def test_one_dataset_gives_knowns_and_unknowns_in_its_own_order():
    """Every test image once, unknown classes labelled UNKNOWN."""
    test = open_test(None, scoring_config(DIGITS, PRINTS), image_size=16, channels=1)
    everything = READERS["digits"].load(None, "test")
    assert torch.equal(test.images, everything.images)
    assert test.image_ids == [f"digits/test/{row}" for row in range(len(everything))]
    expected = [
        DIGITS.known.index(label) if label in DIGITS.known else UNKNOWN
        for label in everything.labels.tolist()
    ]
    assert test.labels.tolist() == expected
    assert test.class_names == [str(label) for label in everything.labels.tolist()]


def test_of_two_datasets_the_known_come_first(cifar):
    """And other classes of either are left out: CIFAR-10's animals, CIFAR-100's objects."""
    path, pixels = cifar / "cifar100-test.parquet", noise(100, 32, 32, 3, seed=2)
    write_parquet(path, pixels, list(range(100)))
    split = class_split("cifar+10", "cac", 0)
    prints = fingerprints(cifar, BENCHMARKS["cifar+10"])
    test = open_test(cifar, scoring_config(split, prints), image_size=32, channels=3)
    known_rows = [row for row in range(20) if row % 10 in split.known]
    assert test.image_ids == [
        *(f"cifar10/test/{row}" for row in known_rows),
        *(f"cifar100/test/{row}" for row in split.unknown),
    ]
    labels = [split.known.index(row % 10) for row in known_rows]
    assert test.labels.tolist() == labels + [UNKNOWN] * len(split.unknown)
    unknown = pixels.transpose(0, 3, 1, 2)[[*split.unknown]]
    assert np.array_equal(test.images[len(known_rows) :].numpy(), unknown)


def test_equal_class_numbers_of_two_datasets_are_not_confused(cifar):
    """Class 0 of CIFAR-100 is no airplane."""
    test = {
        "known_from": "cifar10",
        "known": [0, 1],
        "unknown_from": "cifar100",
        "unknown": [0, 5],
        "fingerprints": {
            name: READERS[name].fingerprint(cifar, "test") for name in ("cifar10", "cifar100")
        },
    }
    opened = open_test(cifar, test, image_size=32, channels=3)
    assert opened.labels.tolist() == [0, 1, 0, 1, UNKNOWN, UNKNOWN]
    assert opened.image_ids[-2:] == ["cifar100/test/0", "cifar100/test/1"]
    assert opened.class_names == [*("airplane", "automobile") * 2, "apple", "bed"]


def test_a_test_set_is_an_image_set():
    """So that it can be put into batches; pytest must not collect it."""
    assert issubclass(TestSet, ImageSet)
    assert TestSet.__test__ is False


def test_fingerprints_name_all_that_a_benchmark_reads(cifar):
    """CIFAR+N trains on CIFAR-10 alone."""
    prints = fingerprints(cifar, BENCHMARKS["cifar+50"])
    assert set(prints) == {"cifar10/train", "cifar10/test", "cifar100/test"}
    assert len(set(prints.values())) == 3
    assert set(PRINTS) == {"digits/train", "digits/test"}


# -- real files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mnist", "cifar+10", "tinyimagenet"])
def test_the_real_files_make_a_task(data_root, name):
    """Counts of the published test protocol: 10,000, 4,000 + 1,000 or 1,000 + 9,000 images."""
    try:
        prints = fingerprints(data_root, BENCHMARKS[name])
    except DataError as error:
        pytest.skip(str(error))
    split = class_split(name, "cac", 0)
    test = open_test(data_root, scoring_config(split, prints), image_size=32, channels=3)
    expected = {"mnist": (6030, 3970), "cifar+10": (4000, 1000), "tinyimagenet": (1000, 9000)}[name]
    assert ((test.labels >= 0).sum(), (test.labels == UNKNOWN).sum()) == expected


def test_the_real_training_file_of_twenty_classes_serves_its_split(data_root):
    """10,000 images of split 0's known classes; any other split says which classes are absent."""
    try:
        prints = fingerprints(data_root, BENCHMARKS["tinyimagenet"])
    except DataError as error:
        pytest.skip(str(error))
    if not list(data_root.glob("tinyimagenet-train-known20-*.parquet")):
        pytest.skip("the training file in the data folder is another one")
    task = task_of(class_split("tinyimagenet", "cac", 0), prints)
    seen = known_train(data_root, task, image_size=64, channels=3)
    assert seen.images.shape == (10_000, 3, 64, 64)
    assert seen.labels.bincount().tolist() == [500] * 20
    task = task_of(class_split("tinyimagenet", "cac", 1), prints)
    with pytest.raises(DataError, match=r"tinyimagenet/train holds no image of class 0, 11, 60, "):
        known_train(data_root, task, image_size=64, channels=3)
