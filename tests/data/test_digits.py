"""The bundled digits and their fixed division."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from osr_core.data import READERS, digits
from osr_core.errors import DataError

DIGITS = READERS["digits"]


def test_division_is_every_fourth_image_of_each_class():
    """Written as a slow loop: no random generator's version can change who is tested on."""
    seen = dict.fromkeys(range(10), 0)
    expected = []
    for label in load_digits().target.tolist():
        seen[label] += 1
        expected.append(seen[label] % 4 == 0)
    labels = torch.from_numpy(load_digits().target)
    expected = torch.tensor(expected)
    assert torch.equal(DIGITS.load(None, "test").labels, labels[expected])
    assert torch.equal(DIGITS.load(None, "train").labels, labels[~expected])


def test_counts_are_those_of_the_docstring():
    """The docstring states them as facts."""
    assert len(DIGITS.load(None, "train")) == 1352
    test = DIGITS.load(None, "test")
    assert len(test) == 445
    assert test.labels.bincount().tolist() == [44, 45, 44, 45, 45, 45, 45, 44, 43, 45]


def test_full_ink_is_white_and_no_ink_black():
    """Counts 0..16 must fill the range that every other dataset has."""
    images = DIGITS.load(None, "train").images
    assert images.shape == (1352, 1, 16, 16)
    assert images.dtype == torch.uint8
    assert (images.min(), images.max()) == (0, 255)


def test_corners_keep_their_value_when_enlarged():
    """Bilinear from 8 to 16 pixels: each corner pixel lies outside the old centres and repeats."""
    first = load_digits().images[0]
    image = DIGITS.load(None, "train").images[0, 0].numpy()
    corners = np.ix_([0, -1], [0, -1])
    assert np.array_equal(image[corners], np.round(first[corners] * 255 / 16))


def test_fingerprints_are_fixed():
    """They are part of every stage's id: a new scikit-learn must not silently be other data."""
    assert DIGITS.fingerprint(None, "train") == "0d36a60ee8efc6c8d93aeeb2ca30cbc0"
    assert DIGITS.fingerprint(None, "test") == "9486f82bacc0aa0baeb4f68170f242c8"


def test_no_file_is_asked_for():
    """The smoke sweep runs on a machine without any data."""
    assert list(DIGITS.files(None, "train")) == []


def test_a_scikit_learn_that_keeps_them_elsewhere_is_named(monkeypatch, tmp_path):
    """The file is not scikit-learn's public interface, so a later version may move it."""
    library = SimpleNamespace(version="9.0", locate_file=lambda name: tmp_path / name)
    monkeypatch.setattr(digits, "distribution", lambda name: library)
    with pytest.raises(DataError, match=r"scikit-learn 9\.0 cannot be read: .*digits.csv.gz"):
        digits.raw.__wrapped__()
