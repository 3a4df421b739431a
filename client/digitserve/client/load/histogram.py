"""Times in buckets: as much memory after an hour as after a second, and cheap to enter.

A bucket is 1/256 (0.4 %) wider than the one before; an answer's time costs a logarithm and a
dictionary, no list of a million floats and no sorting.
"""

from collections import defaultdict
from collections.abc import Iterator
from math import ceil, exp, log, sqrt
from typing import NamedTuple

# Buckets in a factor of e.
_FINENESS = 256


class Bucket(NamedTuple):
    """How many times lay from `low` (inclusive) to `high` seconds."""

    low: float
    high: float
    times: int


class Histogram:
    """Times in seconds, from a nanosecond up.

    Attributes:
        longest: the longest time, exactly; 0 when there is none.
    """

    __slots__ = ("_counts", "longest")

    def __init__(self) -> None:
        self._counts: defaultdict[int, int] = defaultdict(int)
        self.longest = 0.0

    def add(self, seconds: float) -> None:
        """Enters a time; what is below a nanosecond counts as one."""
        self._counts[int(log(seconds * 1e9) * _FINENESS) if seconds > 1e-9 else 0] += 1
        if seconds > self.longest:  # noqa: PLR1730 - a call of max() costs three times this
            self.longest = seconds

    @property
    def count(self) -> int:
        """How many times were entered."""
        return sum(self._counts.values())

    def quantile(self, share: float) -> float | None:
        """The time that at least this share of all did not exceed, within 0.2 %; None of none."""
        rank = max(1, ceil(share * self.count))
        for bucket in self.buckets():
            rank -= bucket.times
            if rank <= 0:
                return min(sqrt(bucket.low * bucket.high), self.longest)
        return None

    def buckets(self) -> Iterator[Bucket]:
        """Yields the buckets that hold any, from the shortest time to the longest."""
        for index, count in sorted(self._counts.items()):
            yield Bucket(_edge(index), _edge(index + 1), count)


def _edge(index: int) -> float:
    return exp(index / _FINENESS) * 1e-9
