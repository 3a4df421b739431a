"""`client.stream()`: frames out and outcomes in, over as many calls as it takes.

    source ──▶ ledger ──▶ call ──▶ ledger ──▶ outcomes        (the books: see `_ledger`)
                 ▲          │ it broke, or the server drains
                 └──────────┘ what has no outcome goes out on the next call

One for threads and one for asyncio, with the same words.
"""

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Any

import grpc

from digitserve.client._channel import Servers
from digitserve.client._closing import AsyncClosing, Closing
from digitserve.client._kept import Kept
from digitserve.client._ledger import Ledger
from digitserve.client._patience import Patience
from digitserve.client._pixels import Image
from digitserve.client.errors import CallError, unless_expired
from digitserve.client.types import Frame, Outcome
from digitserve.v1 import digits_pb2


class _Carried(ABC):
    """What is to be known, and decided, between two calls."""

    def __init__(
        self, servers: Servers, ledger: Ledger, timeout: float | None, resume: float
    ) -> None:
        self._servers = servers
        self._ledger = ledger
        self._timeout = timeout
        self._patience = Patience(resume, servers.count)
        self._exhausted = self._closed = False
        self._source_error: BaseException | None = None
        self._why: BaseException | None = None  # what whoever reads is to hear of the end
        self._call: Any = None

    @abstractmethod
    def _end(self, why: BaseException | None) -> None:
        """Nothing goes on: whoever reads hears why, or the plain end."""

    def _pause(self, cause: CallError | None) -> float | None:
        """The call has ended: seconds until another goes on; None: none does for now, or ever."""
        if self._closed or self._ledger.superseded:
            return None  # the call can wait; their reader goes on with these
        if self._ledger.heard:
            cause = unless_expired(cause)
        if cause is None and self._ledger.settled:
            if self._exhausted:
                self._end(self._source_error)
                return None
            self._patience.rested()  # a quiet stream was too old: nobody is the worse for it
        pause = self._patience.pause(cause)
        if pause is None:
            self._end(self._ledger.ended(cause))
        return pause


class Stream(_Carried, Closing, Iterator[Outcome]):
    """The outcomes of a stream, in order.

    A thread reads the source into the ledger, gRPC's own thread sends from there, and whoever
    iterates reads.  They meet at one condition.
    """

    def __init__(
        self,
        servers: Servers,
        frames: Iterable[Frame | Image],
        ledger: Ledger,
        timeout: float | None,
        resume: float,
    ) -> None:
        super().__init__(servers, ledger, timeout, resume)
        self._changed = threading.Condition()
        servers.when_closed(self._end)
        self._connect()
        threading.Thread(target=self._pump, args=(iter(frames),), daemon=True).start()

    def __next__(self) -> Outcome:
        while not self._closed:
            if self._ledger.superseded:
                return self._ledger.superseded.popleft()
            try:
                response = next(self._call)
            except StopIteration:
                self._resume(None)
            except grpc.RpcError as error:
                self._resume(CallError.from_rpc_error(error))
            else:
                with self._changed:
                    outcome = self._ledger.settle(response)
                    self._changed.notify_all()
                if outcome is not None:
                    self._patience.rested()
                    return outcome
        why, self._why = self._why, None
        raise why or StopIteration

    def close(self) -> None:
        """Leaves the stream, from any thread; frames without an outcome get none."""
        self._end(None)

    def _end(self, why: BaseException | None) -> None:
        with self._changed:
            if self._closed:
                return
            self._closed, self._why = True, why
            self._changed.notify_all()
        if self._call is not None:
            self._call.cancel()

    def _connect(self) -> None:
        """Opens a call that carries the stream on."""
        with self._changed:
            self._ledger.begin()
            self._turn = object()  # tells the present call's thread from one that is left behind
            requests = self._requests(self._turn)
        self._server = self._servers.now
        self._call = self._server.digits.StreamPredict(requests, timeout=self._timeout)
        if self._closed:  # just now: `_end` may have seen the call before
            self._call.cancel()

    def _pump(self, source: Iterator[Frame | Image]) -> None:
        """Reads the source as far ahead as the window allows."""
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._closed or self._ledger.has_room)
                    if self._closed:
                        return
                frame = next(source)
                with self._changed:
                    self._ledger.add(frame)
                    self._changed.notify_all()
        except StopIteration:
            pass
        except BaseException as error:
            self._source_error = error
        with self._changed:
            self._exhausted = True
            self._changed.notify_all()

    def _requests(self, turn: object) -> Iterator[digits_pb2.StreamPredictRequest]:
        """What the call of this turn sends; ends, which half-closes, when it is to send no more."""
        while True:
            with self._changed:
                # Each time: the thread of a call that is over may come round late, and would take
                # a frame and its number from the next call, which sends neither.
                while turn is self._turn and not self._closed:
                    if (request := self._ledger.next_request()) is not None:
                        break
                    if self._ledger.draining or (self._exhausted and not self._ledger.unsent):
                        return
                    self._changed.wait()
                else:
                    return
            yield request

    def _resume(self, cause: CallError | None) -> None:
        """The call has ended: another goes on, or the stream ends."""
        if (pause := self._pause(cause)) is None:
            return
        with self._changed:
            self._changed.wait_for(lambda: self._closed, pause)
        if self._closed:
            return
        self._servers.leave(self._server)
        try:
            self._connect()
        except Exception as error:  # no token; or gRPC's, if the client was closed just now
            self._end(error)


class AsyncStream(_Carried, AsyncClosing, AsyncIterator[Outcome]):
    """The outcomes of a stream, in order.

    gRPC's own task sends from the ledger, and fills it from the source as far as the window allows;
    whoever iterates reads.
    """

    def __init__(
        self,
        servers: Servers,
        frames: AsyncIterable[Frame | Image] | Iterable[Frame | Image],
        ledger: Ledger,
        timeout: float | None,
        resume: float,
    ) -> None:
        super().__init__(servers, ledger, timeout, resume)
        self._source = aiter(frames if isinstance(frames, AsyncIterable) else _each(frames))
        self._changed = asyncio.Event()
        self._rested = asyncio.Event()  # a pause between two calls is over
        self._coming: Kept[Outcome | None] | None = None  # outlives who waits for it
        self._fetch: asyncio.Future[Frame | Image] | None = None  # outlives the call that began it
        servers.when_closed(self._end)
        self._connect()

    async def __anext__(self) -> Outcome:
        if self._coming is None:
            self._coming = Kept(self._next())
        try:
            outcome = await self._coming
        except Exception:  # it is over; who is cancelled leaves it to whoever reads next
            self._coming = None
            raise
        self._coming = None
        if outcome is not None:
            return outcome
        why, self._why = self._why, None
        raise why or StopAsyncIteration

    async def _next(self) -> Outcome | None:
        """The next outcome; None at the end."""
        while not self._closed:
            if self._ledger.superseded:
                return self._ledger.superseded.popleft()
            try:
                response = await self._call.read()
            except grpc.aio.AioRpcError as error:
                await self._resume(CallError.from_rpc_error(error))
                continue
            except asyncio.CancelledError:  # not whoever waits, which `Kept` sees to: the call
                await self._resume(CallError(grpc.StatusCode.CANCELLED, "the call was cancelled"))
                continue
            if response is grpc.aio.EOF:
                await self._resume(None)
                continue
            outcome = self._ledger.settle(response)
            self._changed.set()
            if outcome is not None:
                self._patience.rested()
                return outcome
        return None

    async def close(self) -> None:
        """Leaves the stream, from any task; frames without an outcome get none."""
        self._end(None)

    def _end(self, why: BaseException | None) -> None:
        if self._closed:
            return
        self._closed, self._why = True, why
        self._changed.set()
        self._rested.set()
        if self._call is not None:
            self._call.cancel()
        if self._fetch is not None:
            self._fetch.cancel()

    def _connect(self) -> None:
        """Opens a call that carries the stream on."""
        self._ledger.begin()
        self._turn = object()  # tells the present call's task from one that is left behind
        self._changed.set()
        self._server = self._servers.now
        requests = self._requests(self._turn)
        self._call = self._server.digits.StreamPredict(requests, timeout=self._timeout)

    async def _requests(self, turn: object) -> AsyncIterator[digits_pb2.StreamPredictRequest]:
        """What the call of this turn sends; ends, which half-closes, when it is to send no more."""
        while turn is self._turn and not self._closed and not self._ledger.draining:
            # The first message goes alone: were a second one on its way when the server refuses the
            # stream, grpc.aio would say INTERNAL and lose the reason.
            held = self._ledger.begun and not self._ledger.heard
            if not held and (request := self._ledger.next_request()) is not None:
                yield request
            elif self._exhausted and not self._ledger.unsent:
                return
            else:
                self._changed.clear()
                self._pump()
                await self._changed.wait()

    def _pump(self) -> None:
        """Takes what the source has given; asks it for more, if there is room."""
        if self._fetch is None:
            if self._ledger.has_room:
                self._fetch = asyncio.ensure_future(anext(self._source))
                self._fetch.add_done_callback(lambda _: self._changed.set())
            return
        if not self._fetch.done():
            return
        fetch, self._fetch = self._fetch, None
        try:
            self._ledger.add(fetch.result())
        except StopAsyncIteration:
            self._exhausted = True
        except BaseException as error:
            self._source_error, self._exhausted = error, True
        self._changed.set()

    async def _resume(self, cause: CallError | None) -> None:
        """The call has ended: another goes on, or the stream ends."""
        if (pause := self._pause(cause)) is None:
            return
        self._rested.clear()
        timer = asyncio.get_running_loop().call_later(pause, self._rested.set)
        await self._rested.wait()
        timer.cancel()
        if self._closed:
            return
        self._servers.leave(self._server)
        try:
            self._connect()
        except Exception as error:  # no token
            self._end(error)


async def _each(frames: Iterable[Frame | Image]) -> AsyncIterator[Frame | Image]:
    for frame in frames:
        yield frame
