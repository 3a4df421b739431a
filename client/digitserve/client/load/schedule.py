"""When the calls of an open loop are to start: told before the run, whatever the server does."""

import random
from collections.abc import Iterator
from enum import Enum


class Arrivals(Enum):
    """How calls come.

    POISSON: independently of each other, as from many users.  EVEN: one every 1/rate seconds.
    """

    POISSON = "poisson"
    EVEN = "even"


def starts(rate: float, arrivals: Arrivals, seed: int) -> Iterator[float]:
    """Yields the intended starts without end, in seconds from the beginning of the run.

    Args:
        rate: calls a second.
        arrivals: how they come.
        seed: of POISSON; the same gives the same starts.
    """
    if arrivals is Arrivals.EVEN:
        index = 0
        while True:
            yield index / rate
            index += 1
    chance = random.Random(seed)  # noqa: S311 - not a secret
    at = 0.0
    while True:
        at += chance.expovariate(rate)
        yield at
