"""Which images the papers change by RandAugment, and how strongly."""

import dataclasses

import pytest

from osr_core.data import BENCHMARKS
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
