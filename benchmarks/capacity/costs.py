"""What each thing costs a worker, in microseconds: fitted to what the mixes cost.

    CPU of a load  =  reads·c + calls·c + frames·c + turns·c + images·c(version) + sleeps·c(version)

A worker that slept finds its network out of the caches: a sleep costs more with a larger one.

Least squares of the relative errors, so that a cheap mix counts as much as a dear one; no cost is
below nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.capacity.mixes import Observation

_SHARED = ("read", "call", "frame", "turn")


@dataclass(frozen=True, slots=True)
class Costs:
    """Microseconds of a core.

    Attributes:
        read: of a socket: being told of it, reading, writing the answers to it.
        call: a unary call beyond that.
        frame: a frame of a stream beyond that.
        turn: of a network, whatever it is.
        image: one more image, by version.
        sleep: to be woken from doing nothing, and to find the network again, by version.
        turn_images: how many images a turn holds, by version.
    """

    read: float
    call: float
    frame: float
    turn: float
    image: Mapping[int, float]
    sleep: Mapping[int, float]
    turn_images: Mapping[int, int]

    def of(self, seen: Observation) -> float:
        """What a message of a mix costs by this."""
        return (
            seen.sleeps * self.sleep[seen.version]
            + seen.reads * self.read
            + (self.frame if seen.frames else self.call)
            + seen.turns * self.turn
            + seen.images * self.image[seen.version]
        )

    def dearer(self, by: float) -> "Costs":
        """On a machine on which everything costs so many times as much."""
        return Costs(
            read=by * self.read,
            call=by * self.call,
            frame=by * self.frame,
            turn=by * self.turn,
            image={version: by * each for version, each in self.image.items()},
            sleep={version: by * each for version, each in self.sleep.items()},
            turn_images=self.turn_images,
        )


def fitted(seen: Sequence[Observation]) -> Costs:
    """The costs that explain these best."""
    versions = sorted({each.version for each in seen})
    rows = np.array([_counts(each, versions) for each in seen], float)
    measured = np.array([each.cpu_us for each in seen])
    values = _not_negative(rows / measured[:, None], np.ones(len(seen)))
    shared = dict(zip(_SHARED, values[: len(_SHARED)].tolist(), strict=True))
    own = values[len(_SHARED) :].reshape(2, -1).tolist()
    image, sleep = (dict(zip(versions, each, strict=True)) for each in own)
    most = {each: max(one.images for one in seen if one.version == each) for each in versions}
    turns = {
        each.version: max(1, round(each.images / each.turns))
        for each in seen
        if each.images == most[each.version]
    }
    return Costs(**shared, image=image, sleep=sleep, turn_images=turns)


def errors(costs: Costs, seen: Sequence[Observation]) -> list[float]:
    """By how much of the measured each mix is foretold too dear."""
    return [costs.of(each) / each.cpu_us - 1 for each in seen]


def _counts(seen: Observation, versions: Sequence[int]) -> list[float]:
    kind = [float(not seen.frames), float(seen.frames)]
    own = [seen.version == each for each in versions]
    images, sleeps = ([each * mine for mine in own] for each in (seen.images, seen.sleeps))
    return [seen.reads, *kind, seen.turns, *images, *sleeps]


def _not_negative(rows: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Least squares; what would come out negative is nothing, the worst first."""
    kept = list(range(rows.shape[1]))
    while True:
        found = np.zeros(rows.shape[1])
        found[kept] = np.linalg.lstsq(rows[:, kept], wanted, rcond=None)[0]
        if found.min() >= 0:
            return found
        kept.remove(int(found.argmin()))
