"""Bytes on the wire: messages, gRPC, HTTP/2, TCP, IP and Ethernet, both ways.

    gap 12, preamble 8 | Ethernet 14 | IP 20 | TCP 32 | HTTP/2 9 | gRPC 5 | message | check 4

Without TLS, which adds 22 bytes a record, about one a message, and by IPv4; by IPv6 a packet has 20
bytes more.
"""

import math
from dataclasses import dataclass

from hpack import Encoder

from digitserve.server.transport.http2.heads import ANSWER, OK
from digitserve.v1 import digits_pb2

_FRAME, _PREFIX = 9, 5
_WINDOW_UPDATE = 13
# The server opens a stream's window when half of it has come.
_HALF_WINDOW = 16 * 1024
# Gap, preamble, Ethernet and its check, IP, TCP with timestamps.
PACKET = 12 + 8 + 14 + 4 + 20 + 32
# What of a packet of 1,500 bytes is left for TCP's payload.
SEGMENT = 1500 - 20 - 32

_PREDICTION = digits_pb2.Prediction(
    digit=7, confidence=0.9, probabilities=[0.1] * 10, rejection=0.1
)


@dataclass(frozen=True, slots=True)
class Ways:
    """Something of both ways, for one message and its answer.

    Attributes:
        up: to the server.
        down: from it.
    """

    up: float
    down: float

    def times(self, count: float) -> "Ways":
        """For so many."""
        return Ways(self.up * count, self.down * count)

    def plus(self, other: "Ways") -> "Ways":
        """Together."""
        return Ways(self.up + other.up, self.down + other.down)


def call_payload(images: int = 1, head: int | None = None) -> Ways:
    """TCP's payload for a unary call; `head` is how many bytes its caller's header block has."""
    request = digits_pb2.PredictRequest(pixels=bytes(784 * images), count=_count(images))
    response = digits_pb2.PredictResponse(predictions=[_PREDICTION] * images, model_version=3)
    block = repeated_head() if head is None else head
    answer = _FRAME + len(ANSWER) + _data(response.ByteSize()) + _FRAME + len(OK)
    return Ways(_FRAME + block + _data(request.ByteSize()), answer)


def frame_payload(images: int = 1, frame_id: str = "", sequence: int = 10_000) -> Ways:
    """The same for a frame of a stream that is open, in the long run."""
    pixels = bytes(784 * images)
    frame = digits_pb2.Frame(pixels=pixels, count=_count(images), frame_id=frame_id)
    request = digits_pb2.StreamPredictRequest(frame=frame)
    predicted = digits_pb2.PredictResponse(predictions=[_PREDICTION] * images, model_version=3)
    response = digits_pb2.StreamPredictResponse(
        sequence=sequence, frame_id=frame_id, predicted=predicted, wait_us=100, model_us=200
    )
    up = _data(request.ByteSize())
    return Ways(up, _data(response.ByteSize()) + _WINDOW_UPDATE * up / _HALF_WINDOW)


def on_the_wire(payload: Ways, together: float = 1.0) -> Ways:
    """With packets around it, where so many messages of a connection go together.

    An answer carries the acknowledgement of what it answers; of every two packets that nothing goes
    back for, one more is.
    """
    up, down = (math.ceil(each * together / SEGMENT) for each in (payload.up, payload.down))
    packets = Ways(max(up, math.ceil(down / 2)), max(down, math.ceil(up / 2)))
    return payload.plus(packets.times(PACKET / together))


def repeated_head(timeout: str = "998m") -> int:
    """Bytes of a call's header block by a client that has said it before, but for its deadline."""
    encoder = Encoder()
    pairs = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/digitserve.v1.DigitService/Predict"),
        (":authority", "digitserve:50051"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("user-agent", "grpc-python/1.83.0 grpc-c/52.0.0 (linux; chttp2)"),
        ("grpc-accept-encoding", "identity, deflate, gzip"),
    ]
    for deadline in ("999m", timeout):
        block = encoder.encode([*pairs, ("grpc-timeout", deadline)])
    return len(block)


def _count(images: int) -> int:
    """What a client says of it: of a single one nothing."""
    return images if images > 1 else 0


def _data(message: int) -> int:
    """A message in DATA frames."""
    whole = _PREFIX + message
    return whole + _FRAME * math.ceil(whole / 16384)
