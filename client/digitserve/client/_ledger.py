"""Which frames of a stream were sent and which have their outcome: the books of a resuming stream.

    source ──▶ add ──▶ [ unsent ] ──▶ next_request ──▶ [ sent ] ──▶ settle ──▶ outcome, once each
                           ▲                              │
                           └──────── begin (again) ───────┘   what had none when the stream broke

Knows neither threads nor asyncio nor gRPC calls, so that the sync and the async stream share it.
"""

import time
from collections import deque
from dataclasses import dataclass

from digitserve.client._messages import frame_message, outcome
from digitserve.client.errors import (
    CallError,
    DigitServeError,
    InvalidImage,
    StreamEnded,
)
from digitserve.client.types import Failed, Frame, Outcome, Skipped, SkipReason
from digitserve.v1 import digits_pb2


@dataclass(slots=True)
class _Open:
    """A frame without an outcome."""

    message: digits_pb2.Frame
    captured: float  # the instant, by the monotonic clock


class Ledger:
    """The books of one stream, however many calls carry it.

    Attributes:
        draining: whether the present call takes nothing more.
        answered: whether any call has brought anything yet.
        heard: whether the present call has.
        superseded: outcomes of frames that a newer one replaced before they were sent (LATEST).
    """

    def __init__(self, options: digits_pb2.StreamOptions) -> None:
        self.draining = False
        self.answered = self.heard = False
        self.superseded: deque[Skipped] = deque()
        self._options = options
        self._latest = options.delivery == digits_pb2.DELIVERY_LATEST
        self._max_in_flight = options.max_in_flight_frames
        self._open: dict[int, _Open] = {}  # by index
        self._added = 0
        self._unsent: deque[int] = deque()
        self._sent: dict[int, int] = {}  # index by the present call's sequence
        self._sequence = 0

    @property
    def has_room(self) -> bool:
        """Whether another frame may be added; with LATEST it always may."""
        return self._latest or len(self._open) < self._max_in_flight

    @property
    def begun(self) -> bool:
        """Whether the present call has sent anything."""
        return self._sequence > 0

    @property
    def unsent(self) -> bool:
        """Whether a frame waits for the present call."""
        return bool(self._unsent)

    @property
    def settled(self) -> bool:
        """Whether every frame has its outcome."""
        return not self._open

    @property
    def unanswered(self) -> tuple[int, ...]:
        """The indices of the frames without an outcome."""
        return tuple(self._open)

    def add(self, frame: Frame | object) -> None:
        """Takes a frame, or an image, from the source.

        Raises:
            InvalidImage: if it does not hold 28x28 images, or others than the frames before.
        """
        frame = frame if isinstance(frame, Frame) else Frame(frame)
        message, encoding = frame_message(frame)
        if not self._added:
            self._options.encoding = encoding
        elif encoding != self._options.encoding:
            raise InvalidImage("expected frames of one kind, got uint8 and float in one stream")
        if self._latest:
            self._supersede()
        self._open[self._added] = _Open(message, time.monotonic() - frame.age)
        self._unsent.append(self._added)
        self._added += 1

    def begin(self) -> None:
        """Starts a new call: everything without an outcome is to be sent on it."""
        self.draining = self.heard = False
        self._unsent = deque(self._open)
        self._sent.clear()
        self._sequence = 0

    def next_request(self) -> digits_pb2.StreamPredictRequest | None:
        """The next message to send; None if there is none now."""
        if self.draining or not self._unsent or len(self._sent) >= self._max_in_flight:
            return None
        index = self._unsent.popleft()
        frame = self._open[index]
        # What it waited here counts as well; also when it is sent a second time.
        frame.message.age_us = max(0, round((time.monotonic() - frame.captured) * 1e6))
        request = digits_pb2.StreamPredictRequest(frame=frame.message)
        if not self._sequence:
            request.options.CopyFrom(self._options)
        self._sent[self._sequence] = index
        self._sequence += 1
        return request

    def settle(self, response: digits_pb2.StreamPredictResponse) -> Outcome | None:
        """Enters a response; None if it is no frame's outcome."""
        self.answered = self.heard = True
        if response.HasField("notice"):
            self.draining = True
            return None
        index = self._sent.pop(response.sequence)
        result = outcome(response, index)
        if isinstance(result, Failed) and result.error.reason == "DRAINING":
            return None  # refused, not failed: it goes out again on the next call
        del self._open[index]
        return result

    def _supersede(self) -> None:
        while self._unsent:
            index = self._unsent.popleft()
            name = self._open.pop(index).message.frame_id
            self.superseded.append(Skipped(index, name, SkipReason.SUPERSEDED))

    def ended(self, cause: CallError | None) -> DigitServeError:
        """The error of a stream that nothing carries on."""
        if cause is not None and not self.answered:
            return cause  # it never began: the same as for a unary call
        return StreamEnded(cause, self.unanswered)
