"""Calls and frames by the clock, in bytes: an open loop that costs the machine next to nothing.

`benchmarks.http2` asks again when it is answered; a camera does not wait for that.  Here each
message has an instant at which it is meant to go, whatever the server does, and goes by itself, so
that only the server decides what it reads together.  When it really went is kept, and what is
foretold is foretold of that.
"""

import select
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from benchmarks.http2 import Connection, Exchange, WrongAnswer, parts_of

# A camera's clock: part of a frame's time by which each frame is early or late.
JITTER = 0.1
# Seconds for the last answers.
_PATIENCE_S = 10.0

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]


@dataclass(slots=True)
class Paced:
    """What came of it.

    Attributes:
        who: the connection or the camera of each message, in the order in which they went.
        sent: when each went, in seconds from the begin.
        late: by how much that was later than it was meant to: the sender's own part.
        latencies: of each answer, in the order in which they came, from when its message went.
        seconds: from the begin to the last answer.
    """

    who: Numbers
    sent: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def answers(self) -> int:
        """How many came; all were right."""
        return len(self.latencies)


class Line(Connection):
    """A connection whose messages go by the clock."""

    def __init__(self, address: str, exchanges: Sequence[Exchange]) -> None:
        super().__init__(address)
        self._exchanges = exchanges
        self._payloads = [parts_of(each.message) for each in exchanges]
        self._under_way: dict[int, deque[tuple[int, float]]] = {}
        self._blocked: set[int] = set()
        self.unanswered = 0

    def fileno(self) -> int:
        """Of its socket."""
        return self._socket.fileno()

    def call(self, which: int, sent: float) -> None:
        """Sends a unary call."""
        self._say(self.open("Predict"), which, sent, ends=True)

    def open(self, method: str = "StreamPredict") -> int:
        """Opens a stream; nothing is sent yet."""
        number = self._next
        self._open(method)
        self._under_way[number] = deque()
        return number

    def frame(self, number: int, which: int, sent: float) -> None:
        """Sends a frame of a stream."""
        self._say(number, which, sent, ends=False)

    def take(self, now: float, paced: Paced) -> None:
        """Reads once; enters what was answered."""
        ended = self._received()
        for number, stream in (*self._streams.items(), *ended) if ended else self._streams.items():
            if stream.received:
                self._enter(number, stream.received, now, paced)
        for number, _ in ended:
            if self._under_way.pop(number):
                raise WrongAnswer(f"stream {number} ended with messages unanswered")
        for number in [each for each in self._blocked if each in self._streams]:
            self._fill(number, self._streams[number])
            if not self._streams[number].unsent:
                self._blocked.discard(number)
        self._flush()

    def counted(self) -> tuple[int, int, int, int]:
        """Bytes out and in, and packets out and in, as the kernel counts them (`tcp_info`)."""
        info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        acked, received, packets_out, packets_in = struct.unpack_from("<QQII", info, 120)
        return acked, received, packets_out, packets_in

    def _say(self, number: int, which: int, sent: float, *, ends: bool) -> None:
        stream = self._streams[number]
        at = which % len(self._exchanges)
        stream.unsent.extend(self._payloads[at])
        stream.ends = ends
        self._under_way[number].append((at, sent))
        self.unanswered += 1
        self._fill(number, stream)
        if stream.unsent:
            self._blocked.add(number)
        self._flush()

    def _enter(self, number: int, received: bytearray, now: float, paced: Paced) -> None:
        waiting, at = self._under_way[number], 0
        while len(received) - at >= 5:
            end = at + 5 + int.from_bytes(received[at + 1 : at + 5], "big")
            if end > len(received):
                break
            which, sent = waiting.popleft()
            if received.find(self._exchanges[which].answer, at, end) < 0:
                raise WrongAnswer(f"{bytes(received[at:end])!r}")
            paced.latencies.append(now - sent)
            self.unanswered -= 1
            at = end
        del received[:at]


@contextmanager
def lines(address: str, exchanges: Sequence[Exchange], count: int) -> Iterator[list[Line]]:
    """So many connections."""
    with ExitStack() as stack:
        yield [stack.enter_context(Line(address, exchanges)) for _ in range(count)]


def send_calls(up: Sequence[Line], rate: float, seconds: float, seed: int = 0) -> Paced:
    """Unary calls by a Poisson schedule, each on a connection chosen at random."""
    meant, which = poisson(rate, seconds, len(up), seed)
    return _drive(up, meant, which, lambda at, line, sent: up[line].call(at, sent))


class Cameras:
    """Streams, spread over the connections in turn, each with a clock of its own."""

    def __init__(self, up: Sequence[Line], streams: int) -> None:
        """Opens them, and waits until each has had its first answer."""
        self._up, self._streams = up, streams
        self._numbers = [self._line(each).open() for each in range(streams)]
        every = np.arange(streams)
        self._drive(np.zeros(streams), every)

    def send(self, fps: float, seconds: float, seed: int = 0) -> Paced:
        """Sends frames."""
        return self._drive(*cameras(self._streams, fps, seconds, seed))

    def _line(self, camera: int) -> Line:
        return self._up[camera % len(self._up)]

    def _drive(self, meant: Floats, who: Numbers) -> Paced:
        def say(at: int, camera: int, sent: float) -> None:
            self._line(camera).frame(self._numbers[camera], at, sent)

        return _drive(self._up, meant, who, say)


def poisson(rate: float, seconds: float, places: int, seed: int) -> tuple[Floats, Numbers]:
    """Instants, and for each one of so many places."""
    chance = np.random.default_rng(seed)
    count = chance.poisson(rate * seconds)
    return np.sort(chance.uniform(0, seconds, count)), chance.integers(0, places, count)


def cameras(streams: int, fps: float, seconds: float, seed: int) -> tuple[Floats, Numbers]:
    """The instants of all frames, and whose each is: even, but for phase and jitter."""
    chance = np.random.default_rng(seed)
    frames = max(1, round(seconds * fps))
    at = np.arange(frames)[None, :] + chance.uniform(0, 1, (streams, 1))
    at = (at + chance.uniform(-JITTER, JITTER, at.shape)).clip(0) / fps
    order = np.argsort(at, axis=None, kind="stable")
    return at.ravel()[order], np.repeat(np.arange(streams), frames)[order]


def _drive(
    up: Sequence[Line], meant: Floats, who: Numbers, say: Callable[[int, int, float], None]
) -> Paced:
    paced, at, count = Paced(who), 0, len(meant)
    at_socket = {line.fileno(): line for line in up}
    with select.epoll() as sockets:
        for socket_ in at_socket:
            sockets.register(socket_, select.EPOLLIN)
        begun = time.perf_counter()
        while at < count or any(line.unanswered for line in up):
            now = time.perf_counter() - begun
            while at < count and meant[at] <= now:
                paced.sent.append(now)
                paced.late.append(now - meant[at])
                say(at, int(who[at]), now)
                at += 1
                now = time.perf_counter() - begun
                if at % 16 == 0:
                    break
            if at == count and now > meant[-1] + _PATIENCE_S:
                raise WrongAnswer(f"{sum(line.unanswered for line in up)} unanswered")
            left = max(0.0, meant[at] - now) if at < count else 0.1
            # An epoll of its own counts whole milliseconds; select does not.
            select.select([sockets], [], [], left)
            for socket_, _ in sockets.poll(0):
                at_socket[socket_].take(time.perf_counter() - begun, paced)
        paced.seconds = time.perf_counter() - begun
    return paced
