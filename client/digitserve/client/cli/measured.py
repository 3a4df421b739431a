"""How a measurement is shown: plain lines here, with the extra `cli` in `measured_table`."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import click

from digitserve.client.cli.output import for_people

_ROWS = 16
_BAR = 40
#: The columns of `times`.
QUANTILES = ("p50", "p90", "p99", "p99.9", "max")
_TIMES = {
    "latency_ms": "latency",
    "late_ms": "sent late",
    "server_wait_ms": "wait in the server",
    "server_model_ms": "model",
}


class Bar(NamedTuple):
    """One line of the drawn histogram: how many calls took up to so many milliseconds."""

    low: float
    high: float
    calls: int


def show(told: dict[str, Any]) -> None:
    """Prints a `load.report`: with Rich where it is installed and a person is looking."""
    if for_people():
        try:
            from digitserve.client.cli.measured_table import show_tables  # noqa: PLC0415
        except ImportError:  # without the extra `cli`
            pass
        else:
            show_tables(told)
            return
    for line in _lines(told):
        click.echo(line)


def heading(told: dict[str, Any]) -> Iterator[str]:
    """What was measured, and what it came to, in lines."""
    calls, images, options = told["calls"], told["images"], told["options"]
    what = "frames" if told["kind"] == "stream" else "calls"
    yield f"{told['kind']}, {_loop(told)}, {_many(images['per_call'], 'image')} a {what[:-1]}"
    yield f"{options['address']}, version {_or(told['versions'])}; {images['source']}"
    yield (
        f"{told['seconds']:.1f} s: {calls['sent']} {what} sent, {calls['answered']} answered, "
        f"{calls['failed']} failed, {calls['not_sent']} not sent"
    )
    yield f"{told['calls_per_second']:.0f} {what}/s, {told['images_per_second']:.0f} images/s"
    for why, count in calls["failed_by"].items():
        yield f"failed: {count} {why}"
    if images["accuracy"] is not None:
        yield f"accuracy {images['accuracy']:.2%} of {images['count']} images"


def footing(told: dict[str, Any]) -> Iterator[str]:
    """What there is to say of the client and of what was not sent, in lines."""
    client, options = told["client"], told["options"]
    if client["cpu_seconds_per_call"] is not None:
        cpu = client["cpu_seconds_per_call"] * 1e6
        yield f"client: {cpu:.0f} µs of CPU each, its loop {client['busy']:.0%} busy"
    if client["bottleneck"]:
        yield "The client itself was the bottleneck: the server can do more than this says."
    if told["calls"]["not_sent"]:
        yield (
            f"Not sent: more than {options['max_in_flight']} would have been in flight, or the "
            "client came too late; the latency is only that of what was sent."
        )


def times(told: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """The percentiles that there are, in ms: what of, and p50, p90, p99, p99.9 and the longest."""
    for key, name in _TIMES.items():
        if told[key] is not None:
            yield name, [f"{told[key][each]:.2f}" for each in QUANTILES]


def bars(told: dict[str, Any]) -> list[Bar]:
    """The histogram in few bars, each wider than the one before by the same factor."""
    buckets = told["histogram"]
    if not buckets:
        return []
    low, high = buckets[0]["from_ms"], buckets[-1]["to_ms"]
    step = math.log(high / low) / _ROWS
    counts = [0] * _ROWS
    for bucket in buckets:
        counts[min(int(math.log(bucket["from_ms"] / low) / step), _ROWS - 1)] += bucket["count"]
    edges = [low * math.exp(step * row) for row in range(_ROWS + 1)]
    return [Bar(edges[row], edges[row + 1], count) for row, count in enumerate(counts)]


def _lines(told: dict[str, Any]) -> Iterator[str]:
    yield from heading(told)
    yield ""
    yield f"{'ms':<20}" + "".join(f"{name:>9}" for name in QUANTILES)
    for name, row in times(told):
        yield f"{name:<20}" + "".join(f"{each:>9}" for each in row)
    yield ""
    drawn = bars(told)
    most = max((bar.calls for bar in drawn), default=0)
    for bar in drawn:
        mark = "#" * math.ceil(_BAR * bar.calls / most)
        yield f"{bar.low:>9.2f} to {bar.high:>9.2f} ms {mark:<{_BAR}} {bar.calls}"
    if drawn:
        yield ""
    yield from footing(told)


def _loop(told: dict[str, Any]) -> str:
    options = told["options"]
    if told["loop"] == "open":
        rate = f"open loop, {options['rate']:g}/s ({options['arrivals']})"
        return (
            f"{rate} on {_many(options['concurrency'], 'stream')}"
            if told["kind"] == "stream"
            else rate
        )
    one = "stream" if told["kind"] == "stream" else "caller"
    return f"closed loop, {_many(options['concurrency'], one)}"


def _many(count: int, name: str) -> str:
    return f"{count} {name}" + "s" * (count != 1)


def _or(versions: list[int]) -> str:
    return " and ".join(map(str, versions)) or "none"
