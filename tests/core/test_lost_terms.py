"""Which term of a loss was lost first."""

import math

import torch

from osr_core.training import Means


def test_the_term_that_was_lost_first_is_named_with_its_batch() -> None:
    """By the end of an epoch all of them are lost; of one batch the order is that of the terms."""
    means = Means()
    for fake, real, penalty, generator in (
        (1.0, 1.0, 1.0, 2.0),
        (1.0, math.inf, 1.0, 2.0),
        (math.nan, math.nan, -math.inf, 2.0),
        (1.0, 1.0, 1.0, 2.0),  # what was lost once stays lost
    ):
        terms = {"fake": fake, "real": real, "penalty": penalty, "generator": generator}
        means.add({name: torch.tensor(value) for name, value in terms.items()}, 5)
    assert means.lost_terms() == "real was lost first, in batch 2; then fake (3), penalty (3)"
    assert means.under("train/")["train/generator"] == 2
    alone = Means()
    alone.add({"cross_entropy": torch.tensor(math.nan)}, 5)
    assert alone.lost_terms() == "cross_entropy was lost first, in batch 1"
