"""Dropping hopeless candidates: a paired comparison over the splits that both have met.

All candidates meet splits and seeds in the same order. What is hard or easy about a split is in
both numbers and cancels in their difference, so a few splits tell much. At a rung of a fit, numbers
at that rung are compared with each other.
"""

import math
from collections.abc import Sequence

from sweeps.planning.rules import rule_of
from sweeps.search.candidate import Candidate, State, average, best

FEWEST = 3  # complete candidates besides the best, to know how differences spread
ERRORS = 1.3  # standard errors that a candidate may be behind


def is_hopeless(values: Sequence[float], known: Sequence[Candidate], measure: str) -> bool:
    """Whether a candidate is behind the best of those known by more than chance.

    Args:
        values: the candidate's numbers on the first k splits and seeds.
        known: the candidates whose results may be looked at.
        measure: by which they are compared: a rule's number at the end of a fit or at a rung. The
            best is who is so at the end.

    The mean of the k differences to the best complete candidate is compared with `ERRORS` standard
    errors. The differences' standard deviation is pooled over all complete candidates, since k
    differences alone say little of it. An equal candidate is dropped at one look in ten; the best
    of 50 was dropped in none of 100 orders, for three quarters of the fits (`python -m benchmarks
    search`).
    """
    complete = [each for each in known if each.state == State.COMPLETE]
    if len(complete) <= FEWEST or not values:
        return False
    [leader] = best(complete, rule_of(measure))
    ahead = differences(leader.values[measure], values)
    others = [each for each in complete if each is not leader]
    spread = pooled([differences(leader.values[measure], each.values[measure]) for each in others])
    return average(ahead) > ERRORS * spread / math.sqrt(len(ahead))


def differences(leader: Sequence[float], values: Sequence[float]) -> list[float]:
    """How far the leader is ahead on each step that both have met."""
    return [high - low for high, low in zip(leader, values, strict=False)]


def pooled(groups: Sequence[Sequence[float]]) -> float:
    """The standard deviation within groups of equal spread and different means."""
    squares = sum(sum((x - average(group)) ** 2 for x in group) for group in groups)
    degrees = sum(len(group) - 1 for group in groups)
    return math.sqrt(squares / degrees) if degrees else 0.0
