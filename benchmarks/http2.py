"""The load generator: gRPC over a socket, by hand, so that it costs next to nothing.

A Python client pays as much for a call as the server does; with one of those on the other end every
server looks alike.  This one sends bytes that were made before and looks for the right bytes in
what comes back: a few microseconds a call.  It knows just enough of HTTP/2 (RFC 9113) and gRPC for
that, speaks plain text only, and stops at the first wrong answer.
"""

import socket
import ssl
import struct
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_INITIAL_WINDOW_SIZE = 4
_LARGEST_WINDOW = 2**31 - 1
_MAX_FRAME = 16384

SERVICE = "/digitserve.v1.DigitService/"


class WrongAnswer(Exception):
    """A server said something else than what was expected of it."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A message, and bytes that its answer must contain."""

    message: bytes
    answer: bytes


@dataclass(frozen=True, slots=True)
class Access:
    """How to be let in: by TLS, and by what is said in the metadata `authorization`."""

    tls: ssl.SSLContext | None = None
    token: str = ""


@dataclass(slots=True)
class Tally:
    """What came of a load.

    Attributes:
        seconds: how long it ran.
        answers: right ones.
        latencies: of each unary call, in seconds.
    """

    seconds: float
    answers: int
    latencies: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds


@dataclass(slots=True)
class _Stream:
    window: int
    unsent: deque[bytes] = field(default_factory=deque)  # DATA payloads that await their window
    ends: bool = False  # whether the last of them ends the stream
    ended: bool = False
    received: bytearray = field(default_factory=bytearray)
    sent: int = 0
    answered: int = 0
    begun: float = 0.0


class Connection:
    """One connection to one server, for one load: idle, it would not answer the server's pings."""

    def __init__(self, address: str, access: Access | None = None) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._token = access.token if access else ""
        if access and access.tls:
            self._socket = access.tls.wrap_socket(self._socket, server_hostname=host)
        self._authority = address.encode()
        self._out = bytearray(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        wide = struct.pack(">HI", _INITIAL_WINDOW_SIZE, _LARGEST_WINDOW)
        self._frame(_SETTINGS, 0, 0, wide)
        self._frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", _LARGEST_WINDOW - 65535))
        self._in = bytearray()
        self._window = self._stream_window = 65535
        self._streams: dict[int, _Stream] = {}
        self._next = 1
        self._settled = False
        while not self._settled:
            self._ended()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def unary(self, method: str, exchanges: Sequence[Exchange], at_once: int, s: float) -> Tally:
        """Closed loop for `s` seconds: so many calls under way, each followed by the next.

        A method is one of ours, or a whole path.
        """
        tally = Tally(0.0, 0)
        asked: dict[int, Exchange] = {}
        begun = time.perf_counter()
        end = begun + s

        def ask() -> None:
            exchange = exchanges[self._next // 2 % len(exchanges)]
            asked[self._next] = exchange
            stream = self._open(method)
            stream.unsent.extend(parts_of(exchange.message))
            stream.ends = True

        for _ in range(at_once):
            ask()
        while asked:
            for number, stream in self._ended():
                now = time.perf_counter()
                if asked.pop(number).answer not in stream.received:
                    raise WrongAnswer(f"{method}: {bytes(stream.received[:200])!r}")
                tally.answers += 1
                tally.latencies.append(now - stream.begun)
                if now < end:
                    ask()
        tally.seconds = time.perf_counter() - begun
        return tally

    def streams(
        self, method: str, exchanges: Sequence[Exchange], streams: int, in_flight: int, s: float
    ) -> Tally:
        """Open streams for `s` seconds, each with so many messages unanswered."""
        begun = time.perf_counter()
        end = begun + s
        messages = [parts_of(exchange.message) for exchange in exchanges]
        opened = [self._open(method) for _ in range(streams)]
        while self._streams:
            over = time.perf_counter() >= end
            for stream in opened:
                while not over and stream.sent - stream.answered < in_flight:
                    stream.unsent.extend(messages[stream.sent % len(messages)])
                    stream.sent += 1
                stream.ends = over and not stream.ended
            self._ended()
            for stream in opened:
                self._answers(stream, exchanges)
        if unanswered := sum(stream.sent - stream.answered for stream in opened):
            raise WrongAnswer(f"{method}: {unanswered} messages unanswered")
        return Tally(time.perf_counter() - begun, sum(stream.answered for stream in opened))

    @staticmethod
    def _answers(stream: _Stream, exchanges: Sequence[Exchange]) -> None:
        """Takes whole messages out of what a stream received."""
        received, at = stream.received, 0
        while len(received) - at >= 5:
            end = at + 5 + int.from_bytes(received[at + 1 : at + 5], "big")
            if end > len(received):
                break
            if received.find(exchanges[stream.answered % len(exchanges)].answer, at, end) < 0:
                raise WrongAnswer(f"message {stream.answered}: {bytes(received[at:end])!r}")
            stream.answered += 1
            at = end
        del received[:at]

    # --- frames ------------------------------------------------------------------------------

    def _open(self, method: str) -> _Stream:
        stream = self._streams[self._next] = _Stream(self._stream_window)
        stream.begun = time.perf_counter()
        self._frame(_HEADERS, _END_HEADERS, self._next, self._header_block(method))
        self._next += 2
        return stream

    def _header_block(self, method: str) -> bytes:
        """HPACK (RFC 7541): static names and literal values only."""
        path = (method if method.startswith("/") else SERVICE + method).encode()
        kind = b"application/grpc"
        block = b"\x83\x86\x04%c%b\x01%c%b\x0f\x10%c%b\x00\x02te\x08trailers" % (
            *(len(path), path),
            *(len(self._authority), self._authority),
            *(len(kind), kind),
        )
        if self._token:
            block += b"\x0f\x08%c%b" % (len(self._token), self._token.encode())
        return block

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        self._out += struct.pack(">IBI", len(payload) << 8 | kind, flags, stream) + payload

    def _ended(self) -> list[tuple[int, _Stream]]:
        """Sends what may be sent, reads what came; gives the streams that ended."""
        for number, stream in self._streams.items():
            self._fill(number, stream)
        self._flush()
        return self._received()

    def _flush(self) -> None:
        if self._out:
            self._socket.sendall(self._out)
            self._out.clear()

    def _received(self) -> list[tuple[int, _Stream]]:
        """Reads what came, once; gives the streams that ended."""
        data = self._socket.recv(1 << 18)
        if not data:
            raise WrongAnswer("the server closed the connection")
        self._in += data
        ended, at, buffer = [], 0, self._in
        while len(buffer) - at >= 9:
            head, flags, number = struct.unpack_from(">IBI", buffer, at)
            end = at + 9 + (head >> 8)
            if end > len(buffer):
                break
            if self._take(head & 255, flags, number, buffer[at + 9 : end]):
                ended.append((number, self._streams.pop(number)))
            at = end
        del buffer[:at]
        return ended

    def _fill(self, number: int, stream: _Stream) -> None:
        """Writes as much of a stream as the server's windows let through."""
        while stream.unsent and min(stream.window, self._window) >= len(stream.unsent[0]):
            payload = stream.unsent.popleft()
            last = stream.ends and not stream.unsent
            self._frame(_DATA, _END_STREAM if last else 0, number, payload)
            stream.window -= len(payload)
            self._window -= len(payload)
            if last:
                stream.ends, stream.ended = False, True
        if stream.ends and not stream.unsent:
            self._frame(_DATA, _END_STREAM, number, b"")
            stream.ends, stream.ended = False, True

    def _take(self, kind: int, flags: int, number: int, payload: bytearray) -> bool:
        """Takes a frame; says whether it ended its stream."""
        if kind == _DATA:
            self._streams[number].received += payload
        elif kind == _WINDOW_UPDATE:
            (more,) = struct.unpack(">I", payload)
            if number == 0:
                self._window += more
            elif number in self._streams:
                self._streams[number].window += more
        elif kind == _SETTINGS and not flags & _ACK:
            self._settle(payload)
        elif kind == _PING and not flags & _ACK:
            self._frame(_PING, _ACK, 0, bytes(payload))
        elif kind in {_RESET, _GOAWAY}:
            raise WrongAnswer(f"the server broke off: frame {kind}, {bytes(payload)!r}")
        return kind in {_DATA, _HEADERS} and bool(flags & _END_STREAM)

    def _settle(self, payload: bytearray) -> None:
        """Takes the server's settings."""
        for name, value in struct.iter_unpack(">HI", payload):
            if name == _INITIAL_WINDOW_SIZE:
                for stream in self._streams.values():
                    stream.window += value - self._stream_window
                self._stream_window = value
        self._frame(_SETTINGS, _ACK, 0, b"")
        self._settled = True


def parts_of(message: bytes) -> list[bytes]:
    """A gRPC message as payloads of DATA frames."""
    whole = struct.pack(">BI", 0, len(message)) + message
    return [whole[start : start + _MAX_FRAME] for start in range(0, len(whole), _MAX_FRAME)]
