"""What a stream has accepted and not answered yet, bounded in frames and in images.

    put ──▶ [ waiting ] ──▶ take ──▶ (engine) ──▶ settle ──▶ [ settled ] ──▶ next_settled
                 │ superseded, expired, failed ──────▲

How the three deliveries differ is decided here, and only here: in which order what is settled comes
out, and whether a newer frame supersedes the one that waits.
"""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field

from digitserve.server.admission import Admission
from digitserve.server.codec import Images
from digitserve.server.errors import DeadlinePassed
from digitserve.server.statuses import status_of
from digitserve.server.turns import Turn
from digitserve.v1 import digits_pb2

_NEVER = float("inf")


@dataclass(slots=True)
class Frame:
    """A message that was read and is not answered yet.

    Attributes:
        sequence: its index in the stream.
        frame_id: the caller's name for it.
        images: uint8[N, 28, 28] to classify; None as soon as it has an outcome.
        received: the instant at which it was read.
        expires: the instant after which it fails instead of being computed.
        stale: the instant after which it is skipped instead of being computed.
        canary: whether the canary answers it, if no version is named.
        outcome: what is to be written of it, as the bytes of a StreamPredictResponse that lacks
            sequence and frame_id; empty while it has none.
        cause: what made it that: a turn, an error, or the reason to skip it.
    """

    sequence: int
    frame_id: str = ""
    images: Images | None = None
    received: float = field(default_factory=time.monotonic)
    expires: float = _NEVER
    stale: float = _NEVER
    canary: bool = False
    outcome: bytes = b""
    cause: "Turn | Exception | digits_pb2.Skip.Reason | None" = None

    def __len__(self) -> int:
        """How many images wait to be classified."""
        return 0 if self.images is None else len(self.images)

    def fail(self, error: Exception) -> None:
        """Gives it an error for an outcome."""
        self.cause = error
        failed = digits_pb2.StreamPredictResponse(failed=status_of(error))
        self.outcome = failed.SerializeToString()

    def skip(self, reason: "digits_pb2.Skip.Reason") -> None:
        """Gives it no prediction, on purpose."""
        self.cause = reason
        skipped = digits_pb2.StreamPredictResponse(skipped=digits_pb2.Skip(reason=reason))
        self.outcome = skipped.SerializeToString()


class Window:
    """The frames of one stream between reading and answering.

    Attributes:
        work: set when a frame waits, or no more will.
        ready: set when something can be written, or nothing more will.
        written: set while nothing that can be written is.
        waiting: how many images wait for a turn.
        closed: whether no more frames come.
    """

    def __init__(self, frames: int, images: int, admission: Admission) -> None:
        """Bounds what is accepted and unanswered, as long as `open` does not say otherwise."""
        self.work = asyncio.Event()
        self.ready = asyncio.Event()
        self.written = asyncio.Event()
        self.waiting = 0
        self.closed = False
        self._delivery = digits_pb2.DELIVERY_ORDERED
        self._max_frames, self._max_images = frames, images
        self._admission = admission
        self._frames = self._images = 0
        self._waiting: deque[Frame] = deque()
        self._soonest = _NEVER  # nothing that waits expires before
        self._alarm: asyncio.TimerHandle | None = None
        self._line: deque[Frame] = deque()  # in the order in which they are to be written
        self._room = asyncio.Event()

    def open(self, options: digits_pb2.StreamOptions) -> None:
        """Takes the delivery, and lowers the bounds to what the caller asks for."""
        self._delivery = options.delivery or digits_pb2.DELIVERY_ORDERED
        self._max_frames = min(options.max_in_flight_frames or self._max_frames, self._max_frames)
        self._max_images = min(options.max_in_flight_images or self._max_images, self._max_images)

    @property
    def over(self) -> bool:
        """Whether everything is answered, and no more will come."""
        return self.closed and not self._frames

    def close(self) -> None:
        """No more frames come."""
        self.closed = True
        self.work.set()
        self.ready.set()

    def has_room(self, images: int) -> bool:
        """Whether a frame of so many images may come in; one that is alone always may."""
        fits = self._frames < self._max_frames and self._images + images <= self._max_images
        return fits or not self._frames

    async def room_for(self, images: int) -> None:
        """Waits until a frame of so many images may come in."""
        while not self.has_room(images):
            self._room.clear()
            await self._room.wait()

    async def put(self, frame: Frame) -> None:
        """Lets a frame in; one that has its outcome already waits for nothing."""
        self._frames += 1
        images = len(frame)
        if self._delivery == digits_pb2.DELIVERY_ORDERED:
            self._line.append(frame)
        if not images:
            self.settle(frame)
            return
        if self._delivery == digits_pb2.DELIVERY_LATEST:
            while self._waiting:
                superseded = self._next()
                superseded.skip(digits_pb2.Skip.REASON_SUPERSEDED)
                self.settle(superseded)
        if not self._admission.try_enter(images):
            await self._admission.wait_and_enter(images)
        self._images += images
        self._wait(frame)
        self.work.set()

    @property
    def canary_waits(self) -> bool:
        """Whether the next frame is one that the canary answers."""
        return bool(self._waiting) and self._waiting[0].canary

    def take(self, images: int, canary: bool) -> list[Frame]:
        """Takes the frames of one turn: the next, and what follows it, fits and goes with it.

        Args:
            images: the most of them, unless the first frame alone has more.
            canary: whether they are to be the canary's; else those of others.
        """
        if time.monotonic() >= self._soonest:
            self._expire()
        taken: list[Frame] = []
        while self._waiting and self._waiting[0].canary is canary:
            if taken and len(self._waiting[0]) > images:
                break
            taken.append(self._next())
            images -= len(taken[-1])
        return taken

    def settle(self, frame: Frame) -> None:
        """The frame has its outcome: it needs no turn, only to be written."""
        self._forget_images(frame)
        if self._delivery != digits_pb2.DELIVERY_ORDERED:
            self._line.append(frame)
        self.written.clear()
        self.ready.set()

    def next_settled(self) -> Frame | None:
        """The frame that is to be written next; None if there is none yet."""
        if self._line and self._line[0].outcome:
            return self._line.popleft()
        self.written.set()
        return None

    def answered(self) -> None:
        """A frame was written: gives its place to another."""
        self._frames -= 1
        self._room.set()

    def abandon(self) -> None:
        """The stream is over; nobody will take or write what is left."""
        self._admission.leave(self._images)
        self._images = 0
        if self._alarm is not None:
            self._alarm.cancel()

    def _forget_images(self, frame: Frame) -> None:
        images, frame.images = len(frame), None
        if images:
            self._images -= images
            self._admission.leave(images)
            self._room.set()

    def _wait(self, frame: Frame) -> None:
        self._waiting.append(frame)
        self.waiting += len(frame)
        until = min(frame.expires, frame.stale)
        if until < self._soonest:
            self._soonest = until
            if self._alarm is not None:
                self._alarm.cancel()
            # A millisecond late rather than early: some loops count in those.
            in_s = until - time.monotonic() + 0.001
            self._alarm = asyncio.get_running_loop().call_later(in_s, self._expire)

    def _expire(self) -> None:
        """Gives an outcome to the frames whose time has passed while they waited."""
        now = time.monotonic()
        waiting = [self._next() for _ in range(len(self._waiting))]
        self._soonest = _NEVER
        for frame in waiting:
            if now >= frame.expires:
                frame.fail(DeadlinePassed())
                self.settle(frame)
            elif now >= frame.stale:
                frame.skip(digits_pb2.Skip.REASON_EXPIRED)
                self.settle(frame)
            else:
                self._wait(frame)

    def _next(self) -> Frame:
        frame = self._waiting.popleft()
        self.waiting -= len(frame)
        return frame
