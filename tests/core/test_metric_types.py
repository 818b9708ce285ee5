"""What metrics take for numbers, besides numpy's: tensors, and counts of any type."""

import math

import numpy as np
import pytest
import torch

from osr_core.metrics import auroc, evaluate, macro_f1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_tensors_of_any_precision_with_a_gradient_are_scores(dtype):
    """As a network's output comes; numpy knows neither gradients nor bfloat16."""
    scores = torch.tensor([0.1, 0.2, 0.3], dtype=dtype, requires_grad=True)
    labels, predicted = torch.tensor([0, 1, -1]), torch.tensor([0, 1, 0])
    of_lists = evaluate(scores.tolist(), predicted.tolist(), labels.tolist(), 2)
    assert evaluate(scores, predicted, labels, 2) == of_lists
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
