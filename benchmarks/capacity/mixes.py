"""What is measured: loads that differ in what they make a worker do, to tell that apart."""

import random
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace

from benchmarks.capacity import sender
from benchmarks.capacity.worker import Run, Server, server, yardstick
from benchmarks.http2 import Connection, Exchange
from digitserve.v1 import digits_pb2

# The notebook's network, and the one that answers by default.
VERSIONS = (1, 3)
_CLOSED_S, _OPEN_S = 0.5, 1.0


@dataclass(frozen=True, slots=True)
class Observation:
    """A load and what it cost, for one message.

    Attributes:
        name: of the load.
        version: which network.
        frames: 1 if messages were frames of streams, 0 if they were calls.
        images: in each message.
        turns: of the network for each message.
        reads: of sockets.
        sleeps: of the process.
        cpu_us: of the server.
    """

    name: str
    version: int
    frames: int
    images: int
    turns: float
    reads: float
    sleeps: float
    cpu_us: float


@dataclass(frozen=True, slots=True)
class Mix:
    """A load, as long as a slice.

    Attributes:
        name: what it is.
        frames: 1 for frames, 0 for calls.
        images: in each message.
        ready: opens what it takes, and gives what puts the load on a server and counts answers.
    """

    name: str
    frames: int
    images: int
    ready: Callable[[Server], AbstractContextManager[Run]]


def closed_calls(under_way: int, images: int = 1) -> Mix:
    """Calls on one connection, so many under way."""

    @contextmanager
    def ready(up: Server) -> Iterator[Run]:
        asked = of_images(up.call, images, frames=False)
        with Connection(up.command.address) as connection:
            yield lambda: connection.unary("Predict", asked, under_way, _CLOSED_S).answers

    return Mix(f"calls of {images}, {under_way} under way, closed", 0, images, ready)


def closed_frames(streams: int, in_flight: int, images: int = 1) -> Mix:
    """Streams on one connection that are never short of frames."""

    @contextmanager
    def ready(up: Server) -> Iterator[Run]:
        asked = of_images(up.frame, images, frames=True)
        how = (asked, streams, in_flight, _CLOSED_S)
        with Connection(up.command.address) as connection:
            yield lambda: connection.streams("StreamPredict", *how).answers

    return Mix(f"frames of {images}, {streams} streams of {in_flight}, closed", 1, images, ready)


def open_calls(rate: float, connections: int) -> Mix:
    """Calls by a Poisson schedule."""

    @contextmanager
    def ready(up: Server) -> Iterator[Run]:
        with sender.lines(up.command.address, up.call, connections) as lines:
            for at, line in enumerate(lines):
                line.call(at, 0.0)
            sender.send_calls(lines, rate, _OPEN_S / 10)
            yield lambda: sender.send_calls(lines, rate, _OPEN_S).answers

    return Mix(f"calls, {rate:g}/s on {connections} connections", 0, 1, ready)


def open_frames(streams: int, fps: float, connections: int, images: int = 1) -> Mix:
    """Cameras."""

    @contextmanager
    def ready(up: Server) -> Iterator[Run]:
        asked = of_images(up.frame, images, frames=True)
        with sender.lines(up.command.address, asked, connections) as lines:
            cameras = sender.Cameras(lines, streams)
            yield lambda: cameras.send(fps, _OPEN_S).answers

    name = f"frames of {images}, {streams} cameras of {fps:g}/s on {connections} connections"
    return Mix(name, 1, images, ready)


def mixes(version: int, *, brief: bool = False) -> list[Mix]:
    """Those that the costs of a network are taken from; `brief`: the least that tells them apart.

    A lone caller who asks again at once is not among them: he wakes a worker that has hardly slept.
    """
    part = 0.4 if version == 3 else 1.0  # of what a light network takes
    cameras = round(200 * part)
    least = [
        closed_calls(16),
        closed_calls(4, 32),
        open_calls(3000 * part, 64),
        closed_frames(16, 1),
        closed_frames(16, 64),
        open_frames(cameras // 2, 30, cameras // 2),
        open_frames(cameras, 30, cameras),
    ]
    if brief:
        return least
    return [
        *least,
        closed_calls(64),
        closed_calls(4, 8),
        closed_calls(2, 128),
        open_calls(1500 * part, 64),
        open_calls(6000 * part, 64),
        closed_frames(1, 16),
        closed_frames(4, 8, 8),
        open_frames(cameras // 4, 30, cameras // 4),
        open_frames(cameras, 30, 4),
    ]


def observe(up: Server, mix: Mix) -> tuple[float, Observation]:
    """Puts a load on a server once; gives how long it was starved meanwhile, in seconds."""
    with mix.ready(up) as run:
        messages, cost = up.cost_of(run)
    return cost.starved_s, Observation(
        mix.name,
        up.version,
        mix.frames,
        mix.images,
        cost.turns / messages,
        cost.reads / messages,
        cost.sleeps / messages,
        cost.cpu_s / messages * 1e6,
    )


def measured(
    rounds: int, versions: Sequence[int] = VERSIONS, *, brief: bool = False
) -> tuple[float, list[Observation]]:
    """The median of the yardstick, and every mix of every version.

    Of several rounds it is the median of those in which others left the server most of its time.

    What a mix cost is taken in parts of what the yardstick cost just before and after it: a machine
    that others use as well is dearer at times, for all alike.
    """
    moods: list[float] = []
    found: dict[tuple[str, int], list[tuple[float, float, Observation]]] = {}
    with ExitStack() as stack:
        up = [stack.enter_context(server(each)) for each in versions]
        before = yardstick(up[0])
        for turn in range(rounds):
            some = [(each, mix) for each in up for mix in mixes(each.version, brief=brief)]
            random.Random(turn).shuffle(some)  # noqa: S311 - not a secret
            for each, mix in some:
                starved_s, one = observe(each, mix)
                after = yardstick(up[0])
                moods.append((before + after) / 2)
                found.setdefault((mix.name, each.version), []).append((starved_s, moods[-1], one))
                before = after
    usual = statistics.median(moods)
    return usual, [_median(usual, each) for each in found.values()]


def _median(usual: float, rounds: list[tuple[float, float, Observation]]) -> Observation:
    """Each figure's own, where the machine was in its usual mood."""
    fed = sorted(rounds, key=lambda one: one[0])[: len(rounds) // 2 + 1]
    some = [replace(one, cpu_us=one.cpu_us * usual / mood) for _, mood, one in fed]
    names = ("turns", "reads", "sleeps", "cpu_us")
    middle = {name: statistics.median(getattr(each, name) for each in some) for name in names}
    return replace(some[0], **middle)


def of_images(exchanges: Sequence[Exchange], images: int, *, frames: bool) -> list[Exchange]:
    """Messages of so many images each, those of the single ones over and over."""
    if images == 1:
        return list(exchanges)
    messages = [exchanges[at % len(exchanges)].message for at in range(images)]
    if frames:
        sent = [digits_pb2.StreamPredictRequest.FromString(each).frame.pixels for each in messages]
        frame = digits_pb2.Frame(pixels=b"".join(sent), count=images)
        message = digits_pb2.StreamPredictRequest(frame=frame).SerializeToString()
    else:
        sent = [digits_pb2.PredictRequest.FromString(each).pixels for each in messages]
        request = digits_pb2.PredictRequest(pixels=b"".join(sent), count=images)
        message = request.SerializeToString()
    # Answers do not depend on what they were batched with: the last one stands for all.
    return [Exchange(message, exchanges[(images - 1) % len(exchanges)].answer)]
