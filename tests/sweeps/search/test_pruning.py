"""The rule that drops candidates, against the sum written out."""

import math

import pytest

from sweeps.search.candidate import Candidate, State
from sweeps.search.pruning import ERRORS, is_hopeless, pooled

RULE = "known_accuracy"
LEADER = [0.90, 0.80, 0.70]


def of(number: int, values: list[float], state: State = State.COMPLETE) -> Candidate:
    """A candidate with these numbers."""
    return Candidate(number, {}, {RULE: values}, state)


def known() -> list[Candidate]:
    """The leader, and three others behind it by differences that spread."""
    others = ([0.89, 0.78, 0.69], [0.88, 0.79, 0.67], [0.80, 0.71, 0.60])
    return [of(0, LEADER), *(of(n, list(values)) for n, values in enumerate(others, start=1))]


def test_the_spread_is_pooled_over_the_complete_candidates():
    """Deviations from each candidate's own mean difference, over their number less one each."""
    groups = [[0.01, 0.02, 0.01], [0.02, 0.01, 0.03], [0.10, 0.09, 0.10]]
    squares = degrees = 0.0
    for group in groups:
        mean = sum(group) / 3
        for value in group:
            squares += (value - mean) ** 2
        degrees += 2
    assert pooled(groups) == pytest.approx(math.sqrt(squares / degrees))


def test_a_candidate_goes_when_it_is_behind_by_more_than_the_errors():
    """Just on both sides of the bound, after one split and after two."""
    groups = [[h - v for h, v in zip(LEADER, c.values[RULE], strict=True)] for c in known()[1:]]
    for k in (1, 2):
        bound = ERRORS * pooled(groups) / math.sqrt(k)
        inside = [value - bound + 1e-6 for value in LEADER[:k]]
        outside = [value - bound - 1e-6 for value in LEADER[:k]]
        assert not is_hopeless(inside, known(), RULE)
        assert is_hopeless(outside, known(), RULE)


def test_what_all_find_hard_is_no_reason():
    """Half the leader's number on a split where the leader has no more either."""
    assert not is_hopeless(LEADER[:1], known(), RULE)
    hard = [of(c.number, [v - 0.3 for v in c.values[RULE]]) for c in known()]
    assert not is_hopeless([LEADER[0] - 0.3], hard, RULE)


@pytest.mark.parametrize("state", [State.PRUNED, State.FAILED, State.RUNNING])
def test_too_few_complete_candidates_drop_nothing(state: State):
    """How differences spread is not known from two of them."""
    few = [*known()[:3], of(3, [0.1], state)]
    assert not is_hopeless([0.0], few, RULE)
