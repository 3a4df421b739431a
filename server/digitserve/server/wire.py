"""Answers as bytes: what protobuf would write of them, without its objects.

A prediction is a record of fixed size, so a batch of them is one array of records, and a frame's
part of a turn is a slice of it.  Reading stays protobuf's: its parser takes half a microsecond.

    PredictResponse        predictions…  model_version
    StreamPredictResponse  sequence  frame_id  [ predicted{…}  wait_us  model_us ]
                                               └ an outcome: written once the turn is over
"""

import struct

import numpy as np
import numpy.typing as npt

from digitserve.server.engines import Answer
from digitserve.v1 import digits_pb2

# Field number and wire type, as protobuf writes them: number << 3 | type.
_DIGIT, _CONFIDENCE, _PROBABILITIES, _REJECTION = b"\x08", b"\x15", b"\x1a\x28", b"\x25"
_BRIEF = b"\x0a\x07" + _DIGIT
_FULL = b"\x0a\x36" + _DIGIT

_BRIEF_RECORD = np.dtype(
    [("head", "S3"), ("digit", "u1"), ("confidence_tag", "S1"), ("confidence", "<f4")]
)
_FULL_RECORD = np.dtype(
    [
        *_BRIEF_RECORD.descr,
        ("probabilities_tag", "S2"),
        ("probabilities", "<f4", 10),
        ("rejection_tag", "S1"),
        ("rejection", "<f4"),
    ]
)

# Sheets that are kept: a batch of one turn or less has its own, what is longer gets a new one.
_KEPT_IMAGES = 64

_ROW = struct.Struct("<10f")
_FLOAT = struct.Struct("<f")
_BYTE = [bytes([value]) for value in range(128)]


def record_bytes(detail: int) -> int:
    """The length of one image's record."""
    return _BRIEF_RECORD.itemsize if detail == digits_pb2.DETAIL_BRIEF else _FULL_RECORD.itemsize


class Pen:
    """Writes predictions.  Keeps the sheets it writes on, so each event loop has its own."""

    def __init__(self) -> None:
        self._sheets: dict[tuple[int, bool], _Sheet] = {}

    def records(self, answer: Answer, detail: int) -> bytes:
        """The `predictions` of an answer: `record_bytes(detail)` for each image, in order."""
        probabilities, rejection = answer
        images, brief = len(probabilities), detail == digits_pb2.DETAIL_BRIEF
        if images > 1:
            return self._sheet(images, brief=brief).written(probabilities, rejection)
        # Alone, without NumPy's calls: a third of their cost.
        known = None if rejection is None else rejection.item()
        return _one(probabilities.tobytes(), known, brief=brief)

    def _sheet(self, images: int, *, brief: bool) -> "_Sheet":
        sheet = self._sheets.get((images, brief))
        if sheet is None:
            sheet = _Sheet(images, brief=brief)
            if images <= _KEPT_IMAGES:
                self._sheets[images, brief] = sheet
        return sheet


def predict_response(records: bytes, version: int) -> bytes:
    """A PredictResponse."""
    return records + b"\x10" + varint(version)


def outcome(records: bytes, version: int, wait_us: int, model_us: int) -> bytes:
    """What a StreamPredictResponse says of a frame that was classified."""
    predicted = predict_response(records, version)
    return b"\x1a%b%b\x38%b\x40%b" % (
        varint(len(predicted)),
        predicted,
        varint(wait_us),
        varint(model_us),
    )


def stream_response(sequence: int, frame_id: str, outcome: bytes) -> bytes:
    """A StreamPredictResponse; `outcome` may as well be one that protobuf wrote."""
    if not frame_id:
        return b"\x08" + varint(sequence) + outcome
    name = frame_id.encode()
    return b"\x08%b\x12%b%b%b" % (varint(sequence), varint(len(name)), name, outcome)


def _one(row: bytes, rejection: float | None, *, brief: bool) -> bytes:
    probabilities = _ROW.unpack(row)
    confidence = max(probabilities)
    digit = probabilities.index(confidence)
    certain = row[4 * digit : 4 * digit + 4]
    if brief:
        return _BRIEF + _BYTE[digit] + _CONFIDENCE + certain
    unsure = 1.0 - confidence if rejection is None else rejection
    return b"%b%b\x15%b\x1a\x28%b%%%b" % (_FULL, _BYTE[digit], certain, row, _FLOAT.pack(unsure))


class _Sheet:
    """The records of so many images: what is the same in each is written once."""

    def __init__(self, images: int, *, brief: bool) -> None:
        self._records = np.empty(images, _BRIEF_RECORD if brief else _FULL_RECORD)
        self._records["head"] = _BRIEF if brief else _FULL
        self._records["confidence_tag"] = _CONFIDENCE
        self._digit, self._confidence = self._records["digit"], self._records["confidence"]
        self._each = np.arange(images)
        self._full = not brief
        if self._full:
            self._records["probabilities_tag"] = _PROBABILITIES
            self._records["rejection_tag"] = _REJECTION
            self._probabilities = self._records["probabilities"]
            self._rejection = self._records["rejection"]

    def written(
        self, probabilities: npt.NDArray[np.float32], rejection: npt.NDArray[np.float32] | None
    ) -> bytes:
        digit = probabilities.argmax(axis=1)
        confidence = probabilities[self._each, digit]  # half of what `max` takes
        self._digit[:] = digit
        self._confidence[:] = confidence
        if self._full:
            self._probabilities[:] = probabilities
            if rejection is None:
                np.subtract(np.float32(1.0), confidence, out=self._rejection)
            else:
                self._rejection[:] = rejection
        return self._records.tobytes()


def varint(value: int) -> bytes:
    """A number that is not negative, as protobuf writes it."""
    if value < 128:
        return _BYTE[value]
    if value < 16384:
        return bytes((value & 127 | 128, value >> 7))
    low = bytearray()
    while value >= 128:
        low.append(value & 127 | 128)
        value >>= 7
    low.append(value)
    return bytes(low)
