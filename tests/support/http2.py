"""A client that writes HTTP/2 byte by byte, also what no client should; for tests alone.

It shares nothing with the server but `hpack`, so that a misunderstanding shows.
"""

import socket
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Self

import hpack

from digitserve.v1 import digits_pb2

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = range(5)
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(5, 10)
END_STREAM, ACK, END_HEADERS, PADDED, WITH_PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 4, 5
NO_ERROR, PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED = 0, 1, 3, 5
FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CALM = 6, 7, 8, 9, 11

PREDICT = "/digitserve.v1.DigitService/Predict"
STREAM_PREDICT = "/digitserve.v1.DigitService/StreamPredict"

Pairs = Iterable[tuple[str, str]]


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame."""
    return struct.pack(">IBI", len(payload) << 8 | kind, flags, stream) + payload


def message(body: bytes, *, packed: int = 0) -> bytes:
    """A gRPC message, which may be said to be compressed."""
    return struct.pack(">BI", packed, len(body)) + body


def number(value: int) -> bytes:
    """Four bytes: the payload of WINDOW_UPDATE and RST_STREAM."""
    return struct.pack(">I", value)


def settings(**values: int) -> bytes:
    """A SETTINGS frame: `window`, `frame_size`, `table`."""
    names = {"table": 1, "window": INITIAL_WINDOW_SIZE, "frame_size": MAX_FRAME_SIZE}
    pairs = [struct.pack(">HI", names[name], value) for name, value in values.items()]
    return frame(SETTINGS, 0, 0, b"".join(pairs))


def head(path: str = PREDICT, *more: tuple[str, str], without: str = "") -> list[tuple[str, str]]:
    """What a call says before its messages."""
    pairs = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "test"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
    ]
    return [pair for pair in pairs if pair[0] != without] + list(more)


def asking(pixels: bytes) -> bytes:
    """The message of a `Predict`."""
    return message(digits_pb2.PredictRequest(pixels=pixels).SerializeToString())


@dataclass
class Answer:
    """What came back on one stream.

    Attributes:
        heads: header blocks, each with its pairs.
        body: the bytes of its messages.
        sizes: of each DATA frame.
        ended: whether END_STREAM came.
        reset: the code of its first RST_STREAM.
        opened: by how much its window was opened.
    """

    heads: list[dict[str, str]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    sizes: list[int] = field(default_factory=list)
    ended: bool = False
    reset: int | None = None
    opened: int = 0

    @property
    def over(self) -> bool:
        """Whether nothing more comes."""
        return self.ended or self.reset is not None

    @property
    def status(self) -> int | None:
        """The gRPC status; None if there was none."""
        said = self.heads[-1].get("grpc-status") if self.heads else None
        return None if said is None else int(said)

    @property
    def messages(self) -> list[bytes]:
        """The whole messages."""
        found, at = [], 0
        while len(self.body) - at >= 5:
            end = at + 5 + int.from_bytes(self.body[at + 1 : at + 5], "big")
            if end > len(self.body):
                break
            found.append(bytes(self.body[at + 5 : end]))
            at = end
        return found

    @property
    def digits(self) -> list[int]:
        """The digits in its `PredictResponse`s."""
        responses = map(digits_pb2.PredictResponse.FromString, self.messages)
        return [one.digit for response in responses for one in response.predictions]


class Peer:
    """A connection.

    Attributes:
        socket: its socket.
        answers: what came, by stream.
        goaway: last stream, code and reason of the last GOAWAY.
        closed: whether the server closed.
        opened: by how much the connection's window was opened.
        pings: the server's PINGs, which are not answered by themselves.
        pongs: answered PINGs.
    """

    def __init__(self, address: str, *, greet: bool = True, **values: int) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answers: dict[int, Answer] = {}
        self.goaway: tuple[int, int, str] | None = None
        self.closed = False
        self.opened = 0
        self.pings: list[bytes] = []
        self.pongs: list[bytes] = []
        self.settings: dict[int, int] = {}
        self.encoder = hpack.Encoder()
        self._decoder = hpack.Decoder(1 << 20)
        self._in = bytearray()
        self._block = b""
        self._next = 1
        if greet:
            self.send(PREFACE, settings(**values))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    # --- writing -----------------------------------------------------------------------------

    def send(self, *parts: bytes) -> None:
        """Writes bytes; to one who has closed, in vain."""
        try:
            self.socket.sendall(b"".join(parts))
        except ConnectionError:
            self.closed = True

    def stream(self) -> int:
        """The next stream's number."""
        self._next += 2
        return self._next - 2

    def block(self, pairs: Pairs) -> bytes:
        """A header block."""
        return bytes(self.encoder.encode(list(pairs)))

    def begin(self, pairs: Pairs | None = None, flags: int = END_HEADERS) -> int:
        """Sends a head; gives its stream."""
        stream = self.stream()
        self.send(frame(HEADERS, flags, stream, self.block(head() if pairs is None else pairs)))
        return stream

    def data(self, stream: int, payload: bytes = b"", *, last: bool = False) -> None:
        """Sends DATA."""
        self.send(frame(DATA, END_STREAM if last else 0, stream, payload))

    def ask(self, body: bytes, pairs: Pairs | None = None) -> int:
        """Sends a call whose body fits a frame; gives its stream."""
        stream = self.stream()
        block = self.block(head() if pairs is None else pairs)
        self.send(frame(HEADERS, END_HEADERS, stream, block), frame(DATA, END_STREAM, stream, body))
        return stream

    # --- reading -----------------------------------------------------------------------------

    def answer(self, stream: int) -> Answer:
        """What came of a stream, which may go on."""
        return self.answers.setdefault(stream, Answer())

    def wait(self, stream: int) -> Answer:
        """Reads until a stream, or the connection, is over."""
        answer = self.answer(stream)
        self.until(lambda: answer.over)
        return answer

    def predict(self, pixels: bytes) -> list[int]:
        """A healthy call."""
        answer = self.wait(self.ask(asking(pixels)))
        assert (answer.status, answer.reset) == (0, None), (answer, self.goaway)
        return answer.digits

    def pass_by(self) -> None:
        """Waits until the server has taken all that was sent so far, and answered what it could."""
        sign = struct.pack(">Q", len(self.pongs) + 1)
        self.send(frame(PING, 0, 0, sign))
        self.until(lambda: sign in self.pongs)

    def until_closed(self) -> int | None:
        """Reads to the end; gives the code that the server closed with."""
        self.until(lambda: False)
        return None if self.goaway is None else self.goaway[1]

    def until(self, done: Callable[[], bool]) -> None:
        """Reads frames until that is so, or the connection is closed."""
        while not done() and not self.closed:
            for kind, flags, stream, payload in self.frames():
                self._take(kind, flags, stream, payload)

    def frames(self) -> Iterator[tuple[int, int, int, bytes]]:
        """Reads what there is, once; gives the whole frames."""
        try:
            data = self.socket.recv(1 << 18)
        except ConnectionError:
            data = b""
        self.closed = not data
        self._in += data
        at = 0
        while len(self._in) - at >= 9:
            first, flags, stream = struct.unpack_from(">IBI", self._in, at)
            end = at + 9 + (first >> 8)
            if end > len(self._in):
                break
            yield first & 255, flags, stream, bytes(self._in[at + 9 : end])
            at = end
        del self._in[:at]

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == DATA:
            answer = self.answer(stream)
            answer.body += payload
            answer.sizes.append(len(payload))
            answer.ended |= bool(flags & END_STREAM)
        elif kind in {HEADERS, CONTINUATION}:
            self._take_head(flags, stream, payload)
            self.answer(stream).ended |= kind == HEADERS and bool(flags & END_STREAM)
        elif kind == RST_STREAM:
            answer = self.answer(stream)
            answer.reset = int.from_bytes(payload, "big") if answer.reset is None else answer.reset
        elif kind == GOAWAY:
            last, code = struct.unpack_from(">II", payload)
            self.goaway = last, code, payload[8:].decode()
        elif kind == WINDOW_UPDATE:
            if stream:
                self.answer(stream).opened += int.from_bytes(payload, "big")
            else:
                self.opened += int.from_bytes(payload, "big")
        elif kind == SETTINGS and not flags & ACK:
            self.settings.update(struct.iter_unpack(">HI", payload))
        elif kind == PING:
            (self.pongs if flags & ACK else self.pings).append(payload)

    def _take_head(self, flags: int, stream: int, payload: bytes) -> None:
        self._block += payload
        if flags & END_HEADERS:
            pairs = dict(self._decoder.decode(self._block))
            self.answer(stream).heads.append({str(name): str(pairs[name]) for name in pairs})
            self._block = b""
