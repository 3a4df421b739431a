"""StreamPredict: frames for as long as the caller sends them, one outcome for each.

Three tasks, so that none of them holds up another; a caller who waits for each answer is never
stalled, and one who does not read stops nobody but himself:

    messages ──▶ read ──▶ [ window ] ──▶ take turns ──▶ [ window ] ──▶ write ──▶ responses

A full window stops reading, and HTTP/2 flow control carries that pause back to the sender: a caller
who outruns the model waits; it does not fill our memory.  All that waits when the turn comes goes
through the engine together.  A frame that is wrong fails alone.
"""

import asyncio
import random
from collections.abc import Callable, Sequence

import numpy as np
from google.protobuf.duration_pb2 import Duration

from digitserve.server import codec, wire
from digitserve.server.admission import Admission
from digitserve.server.config import Config
from digitserve.server.errors import BadField, CredentialExpired, DomainError, Draining
from digitserve.server.observe.observer import Observer
from digitserve.server.services import END, Garbage, StreamCall
from digitserve.server.services.known import KnownStream
from digitserve.server.services.routing import Routing
from digitserve.server.services.window import Frame, Window
from digitserve.server.texts import abridged
from digitserve.server.turns import Turn
from digitserve.server.versions.version import Version
from digitserve.v1 import digits_pb2

DELIVERIES = (
    digits_pb2.DELIVERY_ORDERED,
    digits_pb2.DELIVERY_UNORDERED,
    digits_pb2.DELIVERY_LATEST,
)


class Stream:
    """One open stream.

    Attributes:
        messages: how many messages were read so far.
    """

    def __init__(
        self,
        call: StreamCall,
        config: Config,
        routing: Routing,
        admission: Admission,
        pen: wire.Pen,
        *,
        observer: Observer | None = None,
    ) -> None:
        self._call = call
        self._config = config
        self._routing = routing
        self._pen = pen
        self._options = digits_pb2.StreamOptions()
        self._max_age_s: float | None = None
        self._window = Window(config.max_in_flight_frames, config.max_in_flight_images, admission)
        self._observer = observer
        self._watch = None if observer is None else observer.stream()
        self.messages = 0
        self._account = call.account if isinstance(call, KnownStream) else None
        self._empty = 0  # of those, how many had options alone
        self._draining = False
        self._cut: DomainError = Draining()  # how it ends if its caller does not end it
        self._notice: digits_pb2.Notice | None = None  # due
        self._limit = asyncio.timeout(None)

    async def run(self) -> None:
        """Serves the stream to its end.

        Raises:
            DomainError: if the first message's options are wrong.
            Draining: if the caller did not half-close within the grace of a drain.
            CredentialExpired: the same, where the credential was why.
        """
        config = self._config
        if isinstance(self._call, KnownStream):
            self._call.wind_down = self._wind_down
        # With jitter: streams that were opened together are not to come back together.
        age_s = config.stream_max_age_s * random.uniform(0.9, 1.1)  # noqa: S311 - not a secret
        too_old = asyncio.get_running_loop().call_later(
            age_s, self.drain, config.grace_s, digits_pb2.Notice.REASON_STREAM_TOO_OLD
        )
        try:
            # Writes instead of yielding: a task group must not straddle a `yield` (PEP 789).
            async with self._limit, asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read())
                tasks.create_task(self._take_turns())
                await self._write()
        except TimeoutError:
            raise self._cut from None
        finally:
            too_old.cancel()
            self._window.abandon()
            if self._watch is not None:
                self._watch.closed(self.messages - self._empty)

    def drain(
        self,
        grace_s: float,
        reason: "digits_pb2.Notice.Reason" = digits_pb2.Notice.REASON_DRAINING,
    ) -> None:
        """Accepts nothing more; tells the caller; ends within `grace_s` seconds."""
        if self._draining:
            return
        self._draining = True
        self._notice = digits_pb2.Notice(reason=reason, accepted=self.messages)
        self._notice.grace.FromMilliseconds(round(grace_s * 1000))
        self._limit.reschedule(asyncio.get_running_loop().time() + grace_s)
        self._window.ready.set()

    def _wind_down(self) -> None:
        """The credential does not hold any more: a drain, but a short one."""
        if not self._draining:
            self._cut = CredentialExpired()
        self.drain(self._config.credential_grace_s, digits_pb2.Notice.REASON_CREDENTIAL_EXPIRING)

    # --- reading -----------------------------------------------------------------------------

    async def _read(self) -> None:
        window = self._window
        while True:
            if not window.has_room(1):
                await window.room_for(1)
            message = await self._call.read()
            if message is END:
                break
            sequence, self.messages = self.messages, self.messages + 1
            if sequence == 0 and not isinstance(message, Garbage):
                self._open(message.options)
                if message.HasField("options") and not message.HasField("frame"):
                    self._empty = 1
                    continue
            frame = self._accept(sequence, message)
            if not window.has_room(len(frame)):
                await window.room_for(len(frame))
            await window.put(frame)
        window.close()

    def _open(self, options: digits_pb2.StreamOptions) -> None:
        """Takes the first message's options; what is wrong with them ends the stream."""
        check_options(options)
        self._routing.resolve(options, canary=False)
        self._options = options
        if options.HasField("max_age"):
            self._max_age_s = _seconds(options.max_age)
        self._window.open(options)

    def _accept(self, sequence: int, message: digits_pb2.StreamPredictRequest | Garbage) -> Frame:
        """Checks a message; what is wrong with it fails this frame alone."""
        frame = Frame(sequence, "" if isinstance(message, Garbage) else message.frame.frame_id)
        try:
            if self._draining:
                raise Draining
            if isinstance(message, Garbage):
                raise BadField("", "NOT_A_MESSAGE", "expected a StreamPredictRequest")
            sent = message.frame
            if sequence and message.HasField("options"):
                raise BadField("options", "OPTIONS_NOT_FIRST", "expected in the first message only")
            if not message.HasField("frame"):
                raise BadField("frame", "FRAME_MISSING", "expected a frame, got none")
            codec.check_frame_id(sent.frame_id, self._config.max_frame_id_bytes)
            if sent.timeout_us:
                frame.expires = frame.received + sent.timeout_us / 1e6
            if self._max_age_s is not None:
                frame.stale = frame.received + self._max_age_s - sent.age_us / 1e6
            frame.canary = self._routing.takes_canary(self._options, self._call, sent.frame_id)
            images = codec.decode_images(
                sent.pixels, sent.count, self._options.encoding, self._config.max_images
            )
            if self._account is not None:
                self._account.charge(len(images))
            frame.images = images
        except DomainError as error:
            # Whole, for who sends a little too much; but a few bytes may unpack to megabytes.
            frame.frame_id = abridged(frame.frame_id, 4 * self._config.max_frame_id_bytes)
            frame.fail(error)
        return frame

    # --- taking turns ------------------------------------------------------------------------

    async def _take_turns(self) -> None:
        window = self._window
        while window.waiting or not window.closed:
            if window.waiting:
                await self._take_turn()
            else:
                window.work.clear()
                await window.work.wait()

    async def _take_turn(self) -> None:
        """Finds the outcome of the frames that wait, as many as one turn holds."""
        taken: list[Frame] = []
        try:
            version, canary = self._next_version()
            while version.turns.inline and not self._window.written.is_set():
                # While the last turn's answers are written frames gather, and then go together.
                await self._window.written.wait()
                version, canary = self._next_version()

            def prepare() -> codec.Images | None:
                taken.extend(self._window.take(version.turns.images, canary))
                images = [frame.images for frame in taken if frame.images is not None]
                if len(images) > 1:
                    return np.concatenate(images)
                return images[0] if images else None

            await self._classify(version, prepare, taken)
        except Exception as error:  # whatever it was, it ends these frames and not the stream
            taken = taken or self._window.take(1, self._window.canary_waits)
            await self._classify_alone(taken, error)
        for frame in taken:
            self._window.settle(frame)

    def _next_version(self) -> tuple[Version, bool]:
        """Who answers the next frame, and whether as the canary."""
        canary = self._window.canary_waits
        return self._routing.resolve(self._options, canary=canary), canary

    async def _classify_alone(self, frames: Sequence[Frame], error: Exception) -> None:
        """Finds out which frames broke a turn; what only shared it with them is answered."""
        for frame in frames:
            try:
                if len(frames) == 1:
                    raise error
                images = frame.images
                version = self._routing.resolve(self._options, canary=frame.canary)
                await self._classify(version, lambda images=images: images, [frame], again=True)  # type: ignore[misc]
            except Exception as own:
                frame.fail(own)

    async def _classify(
        self,
        version: Version,
        prepare: Callable[[], codec.Images | None],
        frames: Sequence[Frame],
        *,
        again: bool = False,
    ) -> None:
        """Takes a turn for the images that `prepare` gives, which are those of `frames`."""
        waiting = sum(map(len, frames)) or self._window.waiting
        turn = await version.predict(prepare, self, waiting, again=again)
        if turn is not None:
            self._share(turn, version, frames)

    def _share(self, turn: Turn, version: Version, frames: Sequence[Frame]) -> None:
        """Gives each frame its part of the turn's answer."""
        detail, model_us = self._options.detail, round(turn.model_s * 1e6)
        records, size = self._pen.records(turn.answer, detail), wire.record_bytes(detail)
        start = 0
        for frame in frames:
            end = start + len(frame) * size
            wait_us = max(0, round((turn.started - frame.received) * 1e6))
            frame.outcome = wire.outcome(records[start:end], version.number, wait_us, model_us)
            frame.cause = turn
            start = end
        if self._observer is not None:
            self._observer.predicted(version, turn, start // size)

    # --- writing -----------------------------------------------------------------------------

    async def _write(self) -> None:
        """Writes what is settled, and a notice as soon as it is due."""
        window = self._window
        while True:
            if self._notice is not None:
                notice, self._notice = self._notice, None
                await self._call.write(digits_pb2.StreamPredictResponse(notice=notice))
            elif (frame := window.next_settled()) is not None:
                await self._call.write(
                    wire.stream_response(frame.sequence, frame.frame_id, frame.outcome)
                )
                window.answered()
                if self._watch is not None:
                    self._watch.wrote(frame)
            elif window.over:
                return
            else:
                window.ready.clear()
                await window.ready.wait()


def check_options(options: digits_pb2.StreamOptions) -> None:
    """Refuses options that are not in the contract, or contradict each other."""
    codec.check_encoding(options.encoding)
    codec.check_detail(options.detail)
    if options.delivery not in digits_pb2.Delivery.values():
        names = "DELIVERY_ORDERED (1), DELIVERY_UNORDERED (2) or DELIVERY_LATEST (3)"
        raise BadField(
            "options.delivery", "DELIVERY_UNKNOWN", f"expected {names}, got {options.delivery}"
        )
    if options.delivery == digits_pb2.DELIVERY_LATEST and options.max_in_flight_frames == 1:
        raise BadField(
            "options.max_in_flight_frames",
            "OPTIONS_CONTRADICT",
            "expected at least 2 with DELIVERY_LATEST (one computed, one waiting), got 1",
        )
    if options.HasField("max_age") and (age := _seconds(options.max_age)) <= 0:
        raise BadField("options.max_age", "MAX_AGE_RANGE", f"expected more than 0 s, got {age}")


def _seconds(duration: Duration) -> float:
    """Any that the wire can say, also beyond what a timedelta holds."""
    return duration.seconds + duration.nanos / 1e9
