"""What a network costs here, measured when it is loaded: how many images a turn is to hold.

A small dense network is cheapest in batches of 32, a convolutional one in batches of 8, and what a
batch costs depends on the machine; so it is measured and not configured.
"""

import time
from typing import NamedTuple

import numpy as np

from digitserve.server.engines import Engine

# A smaller turn is kinder to the others; it may cost so much more an image.
_AS_GOOD = 1.05
_RUNS = 15
_LONGEST_S = 0.05


class Timing(NamedTuple):
    """What a network costs.

    Attributes:
        image_us: microseconds for one image alone.
        images: of the batch in which an image is cheapest.
    """

    image_us: float
    images: int


def measured(engine: Engine, most: int, turn_ms: float, pause_s: float = 0.0) -> Timing:
    """Warms an engine up for every batch size in use, and times it.

    Args:
        engine: the engine.
        most: the largest batch; a power of two.
        turn_ms: milliseconds that no batch of several may exceed.
        pause_s: seconds that are left to others before each size.
    """
    each_us: dict[int, float] = {}
    size = 1
    while size <= most:
        if pause_s:
            time.sleep(pause_s)
        batch_us = _median_us(engine, size)
        if each_us and batch_us > turn_ms * 1000:
            break
        each_us[size] = batch_us / size
        size *= 2
    bound = min(each_us.values()) * _AS_GOOD
    return Timing(each_us[1], next(size for size, us in each_us.items() if us <= bound))


def _median_us(engine: Engine, size: int) -> float:
    images = np.zeros((size, 28, 28), np.uint8)
    times: list[float] = []
    engine.predict(images)  # the first call also sets things up
    while len(times) < _RUNS and (not times or sum(times) < _LONGEST_S):
        start = time.perf_counter()
        engine.predict(images)
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2] * 1e6  # the module for that takes longer to read
