"""Predictions out of the bytes of a response, where protobuf's objects would cost too much.

digitserve's server writes the predictions of a message as records of fixed size, one after the
other.  Those are read at once; what is laid out in any other way is left to protobuf.

    StreamPredictResponse   08 sequence   1a length { records…  10 version }   38 … 40 …
    a record                0a 36   08 digit   15 confidence   1a 28 probabilities   25 rejection
"""

import struct

from digitserve.client.types import Prediction

# Tags and lengths are bytes of their own, looked at by their places.
_RECORD = struct.Struct("<3xBxf2x10fxf")
_FIXED = {0: 0x0A, 1: 0x36, 2: 0x08, 4: 0x15, 9: 0x1A, 10: 0x28, 51: 0x25}
_SEQUENCE, _PREDICTED, _VERSION = 0x08, 0x1A, 0x10


def predictions(response: bytes, count: int) -> list[Prediction] | None:
    """So many predictions of a StreamPredictResponse; None: ask protobuf."""
    try:
        at = 0
        if response[0] == _SEQUENCE:
            _, at = _varint(response, 1)
        if response[at] != _PREDICTED:
            return None
        length, start = _varint(response, at + 1)
        end = start + count * _RECORD.size
        if response[end] != _VERSION:
            return None
        version, after = _varint(response, end + 1)
    except IndexError:
        return None
    if after != start + length or not _is_laid_out(response, start, end, count):
        return None
    return [
        Prediction(told[0], told[1], told[2:12], told[12], version)
        for told in _RECORD.iter_unpack(response[start:end])
    ]


def _is_laid_out(response: bytes, start: int, end: int, count: int) -> bool:
    size = _RECORD.size
    return max(response[start + 3 : end : size], default=0) < 10 and all(
        response[start + place : end : size] == bytes((byte,)) * count
        for place, byte in _FIXED.items()
    )


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number there, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
