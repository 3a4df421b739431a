"""What is made of the rounds: medians, ratios within a round, and what was needed of them."""

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ratio:
    """One server's rate over another's, round by round.

    Attributes:
        median: of the rounds' ratios.
        lowest: the worst round's.
        highest: the best round's.
    """

    median: float
    lowest: float
    highest: float


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """The ratio of two servers that were measured in turns, one figure a round.

    The machine's mood changes from round to round and is shared within one: so first divide, then
    take the median.

    Raises:
        ValueError: if the rounds do not pair up, or there is none.
    """
    each = [one / other for one, other in zip(ours, theirs, strict=True)]
    if not each:
        raise ValueError("no round")
    return Ratio(statistics.median(each), min(each), max(each))


def in_turns(names: Sequence[str], round_number: int) -> list[str]:
    """The order of a round: another in each, so that nobody always follows the same other one."""
    return random.Random(round_number).sample(names, len(names))  # noqa: S311 - no secret
