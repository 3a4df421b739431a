"""HTTP/2's frames (RFC 9113): their numbers, their layout, and what it means to break the rules."""

import struct
from enum import IntEnum

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

# Kinds.
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = range(5)
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(5, 10)

# Flags.
END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
WITH_PRIORITY = 0x20

# Settings.
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS = 1, 2, 3
INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = 4, 5, 6

# What holds until a peer says otherwise.
DEFAULT_WINDOW = 65_535
DEFAULT_FRAME_SIZE = 16_384

LARGEST_WINDOW = 2**31 - 1
LARGEST_FRAME_SIZE = 2**24 - 1
LARGEST_NUMBER = 2**31 - 1

HEAD_BYTES = 9
# Length and kind together, flags, stream.
HEAD = struct.Struct(">IBI")
SETTING = struct.Struct(">HI")
_NUMBER = struct.Struct(">I")
_TWO_NUMBERS = struct.Struct(">II")


class ErrorCode(IntEnum):
    """Why a stream or a connection ended."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    ENHANCE_YOUR_CALM = 11


class Violation(Exception):
    """The peer broke the rules.

    Attributes:
        code: which rule.
        stream: the stream that this ends; 0: the whole connection.
    """

    def __init__(self, code: ErrorCode, why: str, stream: int = 0) -> None:
        super().__init__(why)
        self.code = code
        self.stream = stream


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A whole frame."""
    return HEAD.pack(len(payload) << 8 | kind, flags, stream) + payload


def settings(values: dict[int, int]) -> bytes:
    """A SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(SETTING.pack(*each) for each in values.items()))


def rst_stream(stream: int, code: ErrorCode) -> bytes:
    """A RST_STREAM frame."""
    return frame(RST_STREAM, 0, stream, _NUMBER.pack(code))


def window_update(stream: int, more: int) -> bytes:
    """A WINDOW_UPDATE frame."""
    return frame(WINDOW_UPDATE, 0, stream, _NUMBER.pack(more))


def goaway(last: int, code: ErrorCode, why: str = "") -> bytes:
    """A GOAWAY frame: streams after `last` were not, and will not be, looked at."""
    return frame(GOAWAY, 0, 0, _TWO_NUMBERS.pack(last, code) + why.encode())


def number_in(payload: bytes) -> int:
    """The 31 bits of a payload that holds just those."""
    if len(payload) != _NUMBER.size:
        raise Violation(ErrorCode.FRAME_SIZE_ERROR, f"expected 4 bytes, got {len(payload)}")
    (number,) = _NUMBER.unpack(payload)
    return int(number) & LARGEST_NUMBER


def unpadded(payload: bytes) -> bytes:
    """A payload without its padding."""
    if not payload or payload[0] >= len(payload):
        raise Violation(ErrorCode.PROTOCOL_ERROR, "the padding is longer than the frame")
    return payload[1 : len(payload) - payload[0]]


def without_priority(payload: bytes, stream: int) -> bytes:
    """The payload of HEADERS without the priority that it begins with."""
    try:
        check_priority(payload[:5], stream)
    except Violation as error:
        # Of the connection: the block is not read, and with it the table of the next is unknown.
        raise Violation(error.code, str(error)) from error
    return payload[5:]


def check_priority(payload: bytes, stream: int) -> None:
    """Refuses a priority that is none; nobody goes by it."""
    if len(payload) != 5:
        raise Violation(ErrorCode.FRAME_SIZE_ERROR, "a priority has 5 bytes", stream)
    if number_in(payload[:4]) == stream:
        raise Violation(ErrorCode.PROTOCOL_ERROR, "a stream depends on itself", stream)
