"""What metrics take for numbers, besides numpy's: tensors, and counts of any type."""

import math
from decimal import Decimal

import numpy as np
import pytest
import torch

from osr_core.metrics import accuracy, auroc, evaluate, macro_f1

SURE = [0.5, 0.6, 0.7]  # of the predicted class


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_tensors_of_any_precision_with_a_gradient_are_scores(dtype):
    """As a network's output comes; numpy knows neither gradients nor bfloat16."""
    scores = torch.tensor([0.1, 0.2, 0.3], dtype=dtype, requires_grad=True)
    labels, predicted = torch.tensor([0, 1, -1]), torch.tensor([0, 1, 0])
    of_lists = evaluate(scores.tolist(), predicted.tolist(), labels.tolist(), 2, SURE)
    assert evaluate(scores, predicted, labels, 2, SURE) == of_lists
    with pytest.raises(ValueError, match="unknown_score is nothing that an array can be made of"):
        auroc(list(scores), labels)


@pytest.mark.parametrize("number", [2.0, np.int8(2), np.float32(2), torch.tensor(2)])
def test_the_number_of_classes_may_be_of_any_type(number):
    """As labels may."""
    test_set = [0.1, 0.2, 0.3], [0, 1, 0], [0, 1, -1]
    assert macro_f1(*test_set, number) == macro_f1(*test_set, 2)


@pytest.mark.parametrize("number", [2.5, math.nan, "2", None, True, [2], 10**10, 10**400])
def test_what_is_no_number_of_classes_is_refused(number):
    """With a sentence; numpy's own speaks of something else."""
    with pytest.raises(ValueError, match="num_known must be"):
        macro_f1([0.1, 0.2, 0.3], [0, 1, 0], [0, 1, -1], number)


@pytest.mark.parametrize(
    "wrong",
    [None, "1", Decimal(1), True, np.True_, 0.5, np.float32(0.5), math.nan, math.inf],
    ids=repr,
)
def test_the_label_that_is_none_is_the_one_that_is_named(wrong):
    """Beside it stand sound ones, which were named instead."""
    with pytest.raises(ValueError, match="a label must be a whole number") as refused:
        accuracy([0, 0, 0], np.array([0, wrong, -1], object))
    assert str(refused.value).endswith(f"; there is {wrong!r}.")


@pytest.mark.parametrize("one", [1, 1.0, np.int64(1), np.uint8(1), np.float32(1)], ids=repr)
def test_whole_numbers_in_arrays_of_objects_are_labels(one):
    """As a column of pandas holds them that once had gaps, Python's numbers or numpy's."""
    assert auroc([0.1, 0.9, 0.2], np.array([0, -1, one], object)) == 1


@pytest.mark.parametrize("scores", [[[0.1], [0.2, 0.3]], torch.zeros(3, device="meta")], ids=str)
def test_what_no_array_can_be_made_of_is_named(scores):
    """By what it was given for; numpy and torch say it in their own words."""
    with pytest.raises(ValueError, match="unknown_score is nothing that an array can be made of"):
        auroc(scores, [0, 1, -1])
