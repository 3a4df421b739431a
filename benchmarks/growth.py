"""How cost grows: with images a message, with callers, with streams, with frames under way."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from benchmarks.http2 import Tally
from benchmarks.subjects import Subject

_SLICE_S = 0.4
_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Point:
    """One measurement: the median of its rounds.

    Attributes:
        at: where on the axis.
        cpu_us: of the server, for each image.
        rate: images a second.
    """

    at: int
    cpu_us: float
    rate: float


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a plot.

    Attributes:
        axis: what grows.
        kind: `ours` or `reference`.
        points: in rising order.
    """

    axis: str
    kind: str
    points: list[Point]


def curves(up: dict[str, Subject]) -> Iterator[Curve]:
    """Measures every curve, for digitserve and for the echo, in turns."""
    axes: dict[str, tuple[list[int], Callable[[Subject, int], Tally], bool]] = {
        "images a message": (
            [1, 2, 4, 8, 16, 32, 64, 128, 256, 1024],
            lambda each, at: each.unary(4, _SLICE_S, images=at),
            True,
        ),
        "callers": ([1, 2, 4, 8, 16, 64, 256], lambda each, at: each.unary(at, _SLICE_S), False),
        "streams": ([1, 2, 4, 8, 16, 64], lambda each, at: each.frames(at, _SLICE_S), False),
        "frames under way, one stream": (
            [1, 2, 4, 8, 16, 32, 64],
            lambda each, at: each.frames(1, _SLICE_S, in_flight=at),
            False,
        ),
    }
    for axis, (places, load, several) in axes.items():
        found: dict[str, list[Point]] = {"reference": [], "ours": []}
        for at in places:
            for kind, points in found.items():
                images = at if several else 1
                points.append(_point(up[kind], at, partial(load, up[kind], at), images))
        for kind, points in found.items():
            yield Curve(axis, kind, points)


def _point(subject: Subject, at: int, load: Callable[[], Tally], images: int) -> Point:
    measured = []
    for _ in range(_ROUNDS):
        before = subject.command.cpu_seconds()
        tally = load()
        cpu_s = subject.command.cpu_seconds() - before
        measured.append((cpu_s / tally.answers / images * 1e6, tally.rate * images))
    cpu_us, rate = sorted(measured)[_ROUNDS // 2]
    return Point(at, cpu_us, rate)
