"""What the papers' recipes say of schedules, augmentation and decay."""

import dataclasses

import pytest

from osr_core.data import BENCHMARKS
from osr_core.methods.cac import CAC
from osr_core.methods.center import Center
from osr_core.methods.softmax import Softmax
from osr_core.recipes import Augmentation, common, pmal_published, vaze_published
from osr_core.training import drop_epochs, lr_factor


@pytest.mark.parametrize(
    ("name", "magnitude", "moves"),
    [
        ("mnist", 8, False),
        ("svhn", 18, False),
        ("cifar10", 6, True),
        ("cifar+10", 6, True),
        ("cifar+50", 6, True),
        ("tinyimagenet", 9, True),
    ],
)
def test_published_strengths_are_vazes(name, magnitude, moves):
    """One operation each; the paper's M for every dataset, and no moves for digits."""
    for published in (vaze_published, pmal_published):
        used = published(BENCHMARKS[name]).training.augmentation
        assert (used.randaugment_ops, used.randaugment_magnitude) == (1, magnitude)
        assert used.randaugment_moves == moves


def test_the_common_recipe_has_it_for_colour_images_only():
    """Small grey digits keep crop and, where a mirror image is no other class, flip."""
    for name in ("digits", "mnist"):
        used = common(BENCHMARKS[name]).training.augmentation
        assert used == Augmentation(crop_padding=4)
    for name, mirrored in (("cifar10", True), ("svhn", False)):
        used = common(BENCHMARKS[name]).training.augmentation
        vaze = vaze_published(BENCHMARKS[name]).training.augmentation
        assert used == dataclasses.replace(vaze, flip=mirrored)


@pytest.mark.parametrize(
    ("name", "decay", "rotation"),
    [
        ("mnist", 5e-6, 0),
        ("svhn", 5e-6, 0),
        ("cifar10", 5e-6, 10),
        ("cifar+10", 5e-4, 0),
        ("cifar+50", 5e-4, 0),
        ("tinyimagenet", 1e-3, 20),
    ],
)
def test_cacs_recipe_is_the_authors_configuration(name, decay, rotation):
    """`weight_decay` and `rotate` in datasets/config.json of dimitymiller/cac-openset; CIFAR+N is
    not rotated in any revision. Its Center block decays by 5e-6 whatever the dataset.
    """
    used = CAC.published(BENCHMARKS[name]).training
    assert (used.weight_decay, used.augmentation.rotation) == (decay, rotation)
    assert Softmax.published(BENCHMARKS[name]).training.weight_decay == decay
    center = Center.published(BENCHMARKS[name]).training
    assert (center.weight_decay, center.augmentation.rotation) == (5e-6, rotation)


@pytest.mark.parametrize(
    ("name", "first", "second", "dropout", "held_out", "scale"),
    [
        ("mnist", 35, 0, 0.2, 0.2, 0.7),
        ("svhn", 50, 0, 0.2, 0.2, 0.7),
        ("cifar10", 150, 50, 0.2, 0.2, 0.8),
        ("cifar+10", 150, 50, 0.2, 0.2, 0.8),
        ("cifar+50", 150, 50, 0.2, 0.2, 0.8),
        ("tinyimagenet", 500, 300, 0.3, 0.1, 0.7),
    ],
)
def test_cacs_schedule_is_its_table_4(name, first, second, dropout, held_out, scale):
    """SGD at 0.01, then 0.001 from the kept weights; shares and crops as in the authors' code."""
    recipe = CAC.published(BENCHMARKS[name])
    used = recipe.training
    assert (used.optimizer, used.lr, used.momentum, used.batch_size) == ("sgd", 0.01, 0.9, 128)
    assert (used.epochs, drop_epochs(used)) == (first + second, [first] if second else [])
    assert lr_factor(used, used.epochs - 1) == pytest.approx(0.1 if second else 1)
    assert used.restart_at_drops == bool(second)
    assert (used.validation, used.keep, used.augmentation.scale) == (held_out, "anchor", scale)
    assert used.augmentation.flip == (name not in ("mnist", "svhn"))
    network = {"head": "flatten", "dropout": dropout, "dropout_at": "after", "init": "kaiming"}
    assert recipe.backbone == {"name": "osrci", **network}


@pytest.mark.parametrize("name", ["mnist", "tinyimagenet"])
def test_pmals_schedule_is_the_papers(name):
    """Section 5: Adam at 0.01, momentum 0.9, weight decay 5e-4, a tenth after every 120 of 600
    epochs, batches of 128.
    """
    used = pmal_published(BENCHMARKS[name]).training
    assert (used.optimizer, used.lr, used.momentum, used.batch_size) == ("adam", 0.01, 0.9, 128)
    assert (used.weight_decay, used.validation, used.keep) == (5e-4, 0, "last")
    assert (used.epochs, drop_epochs(used)) == (600, [120, 240, 360, 480])
    assert lr_factor(used, 599) == pytest.approx(1e-4)


@pytest.mark.parametrize(
    ("name", "optimizer", "lr", "decay"),
    [("cifar10", "sgd", 0.1, 1e-4), ("tinyimagenet", "adam", 0.01, 0)],
)
def test_vazes_schedule_is_the_authors(name, optimizer, lr, decay):
    """600 epochs in three cosines after ten of warm-up, batches of 128; digits are flipped too."""
    used = vaze_published(BENCHMARKS[name]).training
    assert (used.optimizer, used.lr, used.weight_decay) == (optimizer, lr, decay)
    assert (used.epochs, used.cycles, used.warmup_epochs, used.batch_size) == (600, 3, 10, 128)
    assert (used.schedule, used.keep, used.momentum) == ("cosine", "last", 0.9)
    assert vaze_published(BENCHMARKS["svhn"]).training.augmentation.flip
