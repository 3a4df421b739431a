"""What is told of a server, as plain data: a list of families, which JSON and pickle carry.

A family is a Prometheus metric without Prometheus: so a process can hand its figures to another,
which tells those of many, and only whoever serves `/metrics` needs that library.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NotRequired, TypeAlias, TypedDict


class Distribution(TypedDict):
    """How many values fell into each bucket, the last one for all above its bounds."""

    counts: list[int]
    sum: float


Value: TypeAlias = float | Distribution
Sample: TypeAlias = tuple[Sequence[str], Value]


class Family(TypedDict):
    """A metric: its name, kind and meaning, and its value under each set of label values."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: Sequence[str]
    samples: list[Sample]
    bounds: NotRequired[Sequence[float]]


# All that a process tells at one moment.
Snapshot: TypeAlias = list[Family]


def counter(
    name: str, meaning: str, samples: Iterable[Sample] = (), labels: Sequence[str] = ()
) -> Family:
    """What only grows.  Its name lacks the `_total` that Prometheus adds."""
    return _family(name, "counter", meaning, samples, labels)


def gauge(
    name: str, meaning: str, samples: Iterable[Sample] = (), labels: Sequence[str] = ()
) -> Family:
    """What goes up and down."""
    return _family(name, "gauge", meaning, samples, labels)


def histogram(
    name: str,
    meaning: str,
    bounds: Sequence[float],
    samples: Iterable[Sample] = (),
    labels: Sequence[str] = (),
) -> Family:
    """How values are spread; a value that equals a bound lies below it."""
    return _family(name, "histogram", meaning, samples, labels) | {"bounds": list(bounds)}


def _family(
    name: str,
    kind: Literal["counter", "gauge", "histogram"],
    meaning: str,
    samples: Iterable[Sample],
    labels: Sequence[str],
) -> Family:
    return {
        "name": name,
        "kind": kind,
        "help": meaning,
        "labels": list(labels),
        "samples": [(list(values), value) for values, value in samples],
    }
