"""What is measured: loads that differ in what they make the server do, and the server's own counts.

A load's cost is taken apart by what the kernel and `/metrics` count of it anyway, so nothing of the
server is changed for it:

    sleeps    times that the process had nothing to do, and was woken again
    reads     of sockets; what one brings is answered with one write
    calls, frames     right answers
    turns     calls of the network
    images    in them

The server tells its metrics, as one at work does.
"""

import re
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

from benchmarks import subjects
from benchmarks.capacity import sender
from benchmarks.http2 import Connection, Exchange
from digitserve.v1 import digits_pb2
from support.command import Command, server_command
from support.scrape import scraped, unused_address

# The notebook's network, and the one that answers by default.
VERSIONS = (1, 3)
_CLOSED_S, _OPEN_S = 0.5, 1.2


@dataclass(frozen=True, slots=True)
class Counts:
    """What a load made a worker do: seconds of processor time, and how often it did what."""

    cpu_s: float
    sleeps: int
    reads: int
    turns: int


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
class Server:
    """A server with one worker, and what is asked of it."""

    command: Command
    metrics: str
    version: int
    call: list[Exchange]
    frame: list[Exchange]

    def cost_of(self, run: "Run") -> tuple[int, Counts]:
        """How many answers a load got, and what it made the server do."""
        turns = self._turns()  # scraping costs time as well, and is kept out of it
        before = self._counts()
        messages = run()
        after = self._counts()
        return messages, Counts(
            after.cpu_s - before.cpu_s,
            after.sleeps - before.sleeps,
            after.reads - before.reads,
            self._turns() - turns,
        )

    def _counts(self) -> Counts:
        process = Path(f"/proc/{self.command.process.pid}")
        reads = re.search(r"syscr: (\d+)", (process / "io").read_text(encoding="utf-8"))
        task = process / "task" / process.name / "status"
        sleeps = re.search(r"\nvoluntary\S+\s+(\d+)", task.read_text(encoding="utf-8"))
        assert reads is not None
        assert sleeps is not None
        return Counts(self.command.cpu_seconds(), int(sleeps[1]), int(reads[1]), 0)

    def _turns(self) -> int:
        figures = scraped(self.metrics)
        return int(sum(figures[each] for each in figures if "batch_images_count" in each))


@contextmanager
def server(version: int, *flags: str) -> Iterator[Server]:
    """Starts one with a bundled network, and checks its answers against the engine's."""
    folder = subjects.ROOT / "server/digitserve/server/bundled" / str(version)
    metrics = unused_address()
    with server_command("--models", str(folder), "--metrics", metrics, *flags) as command:
        pictures = subjects.images()
        subjects.check(command.address, pictures, folder / "model.tflite")
        asked = subjects.subject_of(command, "ours", pictures).questions
        yield Server(command, metrics, version, asked.one, asked.frame)


Run: TypeAlias = Callable[[], int]


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


def mixes(version: int) -> list[Mix]:
    """Those that the costs of a network are taken from."""
    heavy = version == 3
    part = 0.4 if heavy else 1.0  # of what a light network takes
    cameras = round(200 * part)
    return [
        closed_calls(1),
        closed_calls(16),
        closed_calls(64),
        closed_calls(4, 8),
        closed_calls(4, 32),
        closed_calls(2, 128),
        open_calls(1500 * part, 64),
        open_calls(3000 * part, 64),
        open_calls(6000 * part, 64),
        closed_frames(1, 1),
        closed_frames(1, 16),
        closed_frames(16, 1),
        closed_frames(16, 64),
        closed_frames(4, 8, 8),
        open_frames(cameras // 4, 30, cameras // 4),
        open_frames(cameras // 2, 30, cameras // 2),
        open_frames(cameras, 30, cameras),
        open_frames(cameras, 30, 4),
    ]


def observe(up: Server, mix: Mix) -> Observation:
    """Puts a load on a server once."""
    with mix.ready(up) as run:
        messages, cost = up.cost_of(run)
    return Observation(
        mix.name,
        up.version,
        mix.frames,
        mix.images,
        cost.turns / messages,
        cost.reads / messages,
        cost.sleeps / messages,
        cost.cpu_s / messages * 1e6,
    )


def measured(rounds: int) -> list[Observation]:
    """Every mix of every version, in so many rounds: the median of each."""
    seen: dict[tuple[str, int], list[Observation]] = {}
    for version in VERSIONS:
        with server(version) as up:
            observe(up, closed_calls(16))  # what is made once is made before
            for turn in range(rounds):
                some = mixes(version)
                for mix in some[turn % len(some) :] + some[: turn % len(some)]:
                    seen.setdefault((mix.name, version), []).append(observe(up, mix))
    return [_median(each) for each in seen.values()]


def _median(some: Sequence[Observation]) -> Observation:
    """Each figure's own."""
    middle = {
        name: statistics.median(getattr(each, name) for each in some)
        for name in ("turns", "reads", "sleeps", "cpu_us")
    }
    return Observation(**asdict(some[0]) | middle)


def of_images(exchanges: Sequence[Exchange], images: int, *, frames: bool) -> list[Exchange]:
    """Messages of so many images each, those of the single ones over and over."""
    if images == 1:
        return list(exchanges)
    read = digits_pb2.StreamPredictRequest if frames else digits_pb2.PredictRequest
    singles = [read.FromString(each.message) for each in exchanges]
    pixels = [each.frame.pixels if frames else each.pixels for each in singles]
    joined = b"".join(pixels[at % len(pixels)] for at in range(images))
    request = digits_pb2.PredictRequest(pixels=joined, count=images)
    if frames:
        frame = digits_pb2.Frame(pixels=joined, count=images)
        request = digits_pb2.StreamPredictRequest(frame=frame)
    # Answers do not depend on what they were batched with: the last one stands for all.
    return [Exchange(request.SerializeToString(), exchanges[(images - 1) % len(exchanges)].answer)]
