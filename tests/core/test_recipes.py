"""What the papers' recipes say of augmentation and decay."""

import dataclasses

import pytest

from osr_core.data import BENCHMARKS
from osr_core.methods.cac import CAC
from osr_core.methods.center import Center
from osr_core.methods.softmax import Softmax
from osr_core.recipes import Augmentation, common, pmal_published, vaze_published


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
