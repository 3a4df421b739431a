"""Many calls on one stream: whoever waits when a message may go shares it.

    ask ──▶ [ waiting ] ──▶ a message of up to half of all askers ──▶ stream, two messages at a time
    ask ◀── its own answer, error, deadline or cancellation ◀────────┘

No timer gathers them: while two messages are under way those that ask gather by themselves, and a
lone one goes at once.  Half of the askers (measured: the best cap) keeps one half under way while
the other is being answered.

What goes through one lane is alike: version, label, detail and encoding; each image was checked
before.  Lives on one event loop.  When the stream breaks or drains, another carries on what has no
answer, as with any stream.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections import deque
from typing import Any

import grpc

from digitserve.client import _channel, _messages, _records
from digitserve.client._again import later
from digitserve.client._patience import Patience
from digitserve.client.errors import (
    CallError,
    DeadlineExceeded,
    DigitServeError,
    Internal,
    ResourceExhausted,
    TokenError,
    unless_expired,
)
from digitserve.client.types import Failed, Prediction
from digitserve.v1 import digits_pb2

_MESSAGES = 2
# Four turns of a server; two messages fit the images that a server accepts of a stream.
_MOST_IMAGES = 128
_NEVER = float("inf")


class Ask(ABC):
    """One image that somebody waits for.

    Attributes:
        pixels: as they travel.
        deadline: the instant, by the monotonic clock, at which it is given up.
        alone: whether it broke a message that it shared, or may have: it shares no other.
        retries: how often it may be asked again of a busy server.
    """

    __slots__ = ("alone", "deadline", "pixels", "retries")

    def __init__(self, pixels: bytes, timeout: float | None, retries: int = 0) -> None:
        self.pixels = pixels
        self.deadline = _NEVER if timeout is None else time.monotonic() + timeout
        self.alone = False
        self.retries = retries

    @property
    @abstractmethod
    def over(self) -> bool:
        """Whether nobody waits any more."""

    @abstractmethod
    def answer(self, prediction: Prediction) -> None:
        """Gives it what the model says."""

    @abstractmethod
    def fail(self, error: DigitServeError) -> None:
        """Gives it an error."""


class Lane:
    """The stream, and who waits for it."""

    def __init__(
        self, servers: _channel.Servers, options: digits_pb2.StreamOptions, resume: float
    ) -> None:
        """Makes a lane; it connects when somebody asks.

        Args:
            servers: whom to ask, over asyncio.
            options: of the stream, encoding included.
            resume: seconds for which a broken stream is tried again without an answer.
        """
        self._servers = servers
        self._options = options
        self._resume = resume
        self._patience = Patience(resume, servers.count)
        self._waiting: deque[Ask] = deque()
        self._sent: deque[list[Ask]] = deque()
        self._resting: dict[asyncio.TimerHandle, list[Ask]] = {}  # a busy server refused them
        self._changed = asyncio.Event()
        self._due = _NEVER  # the deadline that the timer is set for
        self._timer: asyncio.TimerHandle | None = None
        self._heard = self._draining = False
        self._life: asyncio.Task[None] | None = None

    def add(self, ask: Ask) -> None:
        """Sends it as soon as may be."""
        self._waiting.append(ask)
        self._changed.set()
        if ask.deadline < self._due:
            self._watch(ask.deadline)
        if self._life is None:
            self._life = asyncio.ensure_future(self._live())
            self._life.add_done_callback(self._died)

    async def close(self, error: CallError) -> None:
        """Leaves the stream; who still waits gets this error."""
        if self._life is not None:
            self._life.remove_done_callback(self._died)
            self._life.cancel()
            await asyncio.wait([self._life])
        if self._timer is not None:
            self._timer.cancel()
        self._fail(self._take_all(), error)

    # --- one stream after the other ----------------------------------------------------------

    async def _live(self) -> None:
        while True:
            while not self._waiting:
                self._changed.clear()
                await self._changed.wait()
            server = self._servers.now
            cause = await self._carry(server)
            asks = self._unanswered()
            if not asks and cause is None:
                continue  # it was too old, or drained, and nobody is the worse for it
            pause = self._patience.pause(cause)
            if pause is None:
                self._fail(asks, cause or CallError(grpc.StatusCode.UNAVAILABLE, "no answer"))
                self._patience = Patience(self._resume, self._servers.count)
                continue
            self._waiting.extend(asks)
            await asyncio.sleep(pause)
            self._servers.leave(server)

    def _died(self, life: asyncio.Task[None]) -> None:
        """It was not `close`: whoever waits must not wait for ever."""
        self._life = None
        unforeseen = None if life.cancelled() else life.exception()
        error: DigitServeError
        if isinstance(unforeseen, CallError | TokenError):
            error = unforeseen
        elif unforeseen is None or isinstance(unforeseen, grpc.aio.UsageError):
            error = CallError(grpc.StatusCode.CANCELLED, "the client is closed")
        else:
            error = CallError(grpc.StatusCode.UNKNOWN, f"unforeseen: {unforeseen!r}")
        self._fail(self._take_all(), error)

    async def _carry(self, server: _channel.Server) -> CallError | None:
        """Carries what waits on one call, to its end; gives why it ended."""
        self._heard = self._draining = False
        call = server.streams()
        try:
            async with asyncio.TaskGroup() as tasks:
                writing = tasks.create_task(self._write(call))
                try:
                    return await self._read(call)
                finally:
                    writing.cancel()
        finally:
            call.cancel()

    async def _write(self, call: Any) -> None:
        options: digits_pb2.StreamOptions | None = self._options
        try:
            while not self._draining:
                # The first goes alone: a refusal would be lost by a second write under way.
                most = _MESSAGES if self._heard else 1
                if len(self._sent) < most and (asks := self._next_asks()):
                    self._sent.append(asks)
                    await call.write(_shared(asks, options))
                    options = None
                else:
                    self._changed.clear()
                    await self._changed.wait()
            await call.done_writing()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            pass  # the call is over; its reader learns why

    async def _read(self, call: Any) -> CallError | None:
        """Takes answers until the call ends; gives why it did, None if all was well."""
        try:
            while (data := await call.read()) is not grpc.aio.EOF:
                self._heard = True
                self._take(data)
                self._changed.set()
        except grpc.aio.AioRpcError as error:
            cause = CallError.from_rpc_error(error)
            return unless_expired(cause) if self._heard else cause
        return None

    # --- asks --------------------------------------------------------------------------------

    def _next_asks(self) -> list[Ask]:
        """Who shares the next message; empty if nobody waits."""
        under_way = sum(map(len, self._sent))
        most = min((len(self._waiting) + under_way + 1) // 2, _MOST_IMAGES)
        asks: list[Ask] = []
        while self._waiting and len(asks) < most:
            ask = self._waiting[0]
            if ask.alone and asks:
                break
            self._waiting.popleft()
            if not ask.over:
                asks.append(ask)
            if ask.alone:
                break
        return asks

    def _take(self, data: bytes) -> None:
        """Takes what the server says."""
        if self._sent and (told := _records.predictions(data, len(self._sent[0]))) is not None:
            for ask, prediction in zip(self._sent.popleft(), told, strict=True):
                ask.answer(prediction)
        else:
            response = digits_pb2.StreamPredictResponse.FromString(data)
            if response.HasField("notice"):
                self._draining = True
                return
            self._settle(response, self._sent.popleft())
        self._patience.rested()

    def _settle(self, response: digits_pb2.StreamPredictResponse, asks: list[Ask]) -> None:
        if response.HasField("predicted"):
            predictions = _messages.predictions(response.predicted)
            for ask, prediction in zip(asks, predictions, strict=True):
                ask.answer(prediction)
            return
        outcome = _messages.outcome(response, 0)
        assert isinstance(outcome, Failed)  # this stream skips nothing
        if outcome.error.reason == "DRAINING":
            self._waiting.extendleft(reversed(asks))  # refused, not failed
        elif len(asks) > 1 and isinstance(outcome.error, Internal):
            for ask in asks:  # one of them broke it: which, is found out one by one
                ask.alone = True
            self._waiting.extendleft(reversed(asks))
        elif isinstance(outcome.error, ResourceExhausted) and outcome.error.retry_after is not None:
            self._rest(asks, outcome.error, later(outcome.error.retry_after))
        else:
            self._fail(asks, outcome.error)

    def _rest(self, asks: list[Ask], error: CallError, pause: float) -> None:
        """Lets those wait who may be asked again; the others have their answer."""
        end = time.monotonic() + pause
        resting = [ask for ask in asks if ask.retries and ask.deadline > end]
        self._fail([ask for ask in asks if not (ask.retries and ask.deadline > end)], error)

        def ask_again() -> None:
            for ask in self._resting.pop(timer):
                ask.retries -= 1
                if not ask.over:
                    self.add(ask)

        timer = asyncio.get_running_loop().call_later(pause, ask_again)
        self._resting[timer] = resting

    def _take_all(self) -> list[Ask]:
        """Takes back everybody, also who waits for a busy server."""
        for timer in self._resting:
            timer.cancel()
        resting = [ask for asks in self._resting.values() for ask in asks]
        self._resting.clear()
        return self._unanswered() + resting

    def _unanswered(self) -> list[Ask]:
        """Takes back everybody who has no answer, in the order in which they asked."""
        asks = [ask for message in self._sent for ask in message if not ask.over]
        asks += self._waiting
        self._sent.clear()
        self._waiting.clear()
        return asks

    def _fail(self, asks: list[Ask], error: DigitServeError) -> None:
        for ask in asks:
            ask.fail(error)

    # --- deadlines: one timer for all --------------------------------------------------------

    def _watch(self, deadline: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._due = deadline
        self._timer = loop.call_later(deadline - time.monotonic(), self._expire)

    def _expire(self) -> None:
        now = time.monotonic()
        self._due, self._timer = _NEVER, None
        soonest = _NEVER
        for ask in (*self._waiting, *(ask for message in self._sent for ask in message)):
            if ask.over:
                continue
            if ask.deadline <= now:
                ask.fail(DeadlineExceeded(grpc.StatusCode.DEADLINE_EXCEEDED, "no answer in time"))
            else:
                soonest = min(soonest, ask.deadline)
        # Who gave up is let go of, also while a server that hangs takes nothing.
        self._waiting = deque(ask for ask in self._waiting if not ask.over)
        if soonest < _NEVER:
            self._watch(soonest)


def _shared(asks: list[Ask], options: digits_pb2.StreamOptions | None) -> bytes:
    """The message of these asks; `options` for the first of a call."""
    latest = max([ask.deadline for ask in asks])
    left = 0 if latest == _NEVER else max(1, round((latest - time.monotonic()) * 1e6))
    pixels = asks[0].pixels if len(asks) == 1 else b"".join([ask.pixels for ask in asks])
    frame = digits_pb2.Frame(pixels=pixels, count=len(asks), timeout_us=left)
    return digits_pb2.StreamPredictRequest(options=options, frame=frame).SerializeToString()
