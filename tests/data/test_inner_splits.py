"""A task within a task: what a search trains on, and what it measures by."""

import pytest
import torch

from osr_core.data import benchmark
from osr_core.data.base import UNKNOWN
from osr_core.data.inner_splits import inner_held_out, inner_split, inner_train, num_hidden
from osr_core.data.splits import class_split
from osr_core.data.tasks import fingerprints, known_train

SPLIT = class_split("digits", "cac", 3)
SIZE = {"image_size": 8, "channels": 1}


def task(hides: float, fraction: float = 0.2) -> dict[str, object]:
    """The task of a search on split 3 of the digits."""
    inner = inner_split(SPLIT, hides=hides, fraction=fraction)
    return {
        "dataset": "digits",
        "known": [k for k in SPLIT.known if k not in inner.hidden],
        "split": 3,
        "fingerprint": fingerprints(None, benchmark("digits"))["digits/train"],
        "held_out": {"hidden": list(inner.hidden), "fraction": fraction},
    }


@pytest.mark.parametrize(
    ("num_known", "hides", "hidden"),
    [(6, 1 / 3, 2), (4, 1 / 3, 1), (3, 1 / 3, 1), (20, 0.5, 10), (3, 0.9, 1), (2, 1 / 3, 0)],
)
def test_a_share_is_hidden_and_two_classes_are_left(num_known: int, hides: float, hidden: int):
    """At least one where any is asked for; none of two."""
    assert num_hidden(num_known, hides) == hidden
    assert num_hidden(num_known, 0) == 0


def test_which_classes_are_hidden_depends_on_the_split_alone():
    """Known ones, always the same; another split of the same dataset hides others."""
    inner = inner_split(SPLIT, hides=1 / 3, fraction=0.2)
    assert len(inner.hidden) == 2
    assert set(inner.hidden) < set(SPLIT.known)
    assert inner.hidden == inner_split(SPLIT, hides=1 / 3, fraction=0.5).hidden
    others = {
        inner_split(class_split("digits", "cac", i), hides=0.3, fraction=0.2).hidden
        for i in range(5)
    }
    assert len(others) > 1


def test_no_image_is_in_both_parts_and_none_is_lost():
    """Where nothing is hidden, the two parts are the known training images."""
    plain = task(0)
    parts = inner_train(None, plain, **SIZE), inner_held_out(None, plain, **SIZE)
    whole = known_train(None, {**plain, "known": list(SPLIT.known)}, **SIZE)

    def rows(images: torch.Tensor) -> list[bytes]:
        return [image.numpy().tobytes() for image in images]

    assert sorted(row for part in parts for row in rows(part.images[:])) == sorted(
        rows(whole.images[:])
    )
    for label in range(6):
        num = int((whole.labels == label).sum())
        assert int((parts[1].labels == label).sum()) == round(0.2 * num)


def test_hidden_classes_are_unknown_and_never_trained_on():
    """Labels are positions among the classes that are left."""
    inner = task(1 / 3)
    train, held_out = inner_train(None, inner, **SIZE), inner_held_out(None, inner, **SIZE)
    assert sorted(set(train.labels.tolist())) == [0, 1, 2, 3]
    assert sorted(set(held_out.labels.tolist())) == [UNKNOWN, 0, 1, 2, 3]


def test_held_out_images_are_the_same_whatever_is_hidden():
    """So a rule that hides classes and one that does not look at the same images."""
    some, none = task(1 / 3), task(0)
    hiding, plain = inner_held_out(None, some, **SIZE), inner_held_out(None, none, **SIZE)
    assert torch.equal(hiding.images[:], plain.images[:])
    assert UNKNOWN not in plain.labels.tolist()
    classes = [SPLIT.known[k] for k in plain.labels.tolist()]
    left = some["known"]
    expected = [left.index(k) if k in left else UNKNOWN for k in classes]  # type: ignore[operator,attr-defined]
    assert hiding.labels.tolist() == expected
