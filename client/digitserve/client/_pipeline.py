"""`client.pipeline()`: many concurrent `predict` calls of one process as a few shared messages.

    predict ──▶ checked ──▶ lane of its encoding ──▶ stream        (see `_lane`)

The one for threads has an event loop of its own, in a thread; callers hand over what they ask and
sleep.  It is woken once for all that ask while it is busy.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import grpc

from digitserve.client._channel import Servers
from digitserve.client._closing import AsyncClosing, Closing
from digitserve.client._lane import Ask, Lane
from digitserve.client._pixels import Image, Pixels, check_range, one_image
from digitserve.client.errors import CallError, DigitServeError
from digitserve.client.types import Prediction
from digitserve.v1 import digits_pb2


class AsyncPipeline(AsyncClosing):
    """Many calls on one stream, for asyncio.

    async with AsyncDigitClient() as client, client.pipeline() as pipeline:
        predictions = await asyncio.gather(*map(pipeline.predict, images))
    """

    def __init__(
        self,
        servers: Servers,
        options: digits_pb2.StreamOptions,
        timeout: float | None,
        resume: float,
        retries: int,
    ) -> None:
        self._lanes = _Lanes(servers, options, resume)
        self._retries = retries
        self._timeout = timeout

    async def predict(
        self,
        image: Image,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - a deadline of its own, without a task
    ) -> Prediction:
        """Classifies one image, together with whatever else is asked meanwhile.

        Args:
            image: 28x28 (or 784) uint8, 0 = paper, 255 = ink, or floats 0.0 to 1.0.
            timeout: seconds; None: the pipeline's.

        Raises:
            InvalidImage: if it is no such image; nothing was sent.
            CallError: if the server, or the way to it, says no; CANCELLED after `close`.
            TokenError: if there is no token to send.
        """
        pixels = one_image(image)
        check_range(pixels)
        ask = _AsyncAsk(pixels.data, self._timeout if timeout is None else timeout, self._retries)
        self._lanes.add(ask, pixels)
        return await ask.future

    async def close(self) -> None:
        """Leaves the stream; who still waits gets CANCELLED."""
        await self._lanes.close()


class Pipeline(Closing):
    """Many calls on one stream, for threads; share it between them."""

    def __init__(
        self,
        servers: Callable[[], Servers],
        options: digits_pb2.StreamOptions,
        timeout: float | None,
        resume: float,
        retries: int,
    ) -> None:
        self._timeout = timeout
        self._retries = retries
        self._asked: deque[tuple[_ThreadAsk, Pixels]] = deque()
        self._woken = self._closed = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="pipeline", daemon=True)
        self._thread.start()

        async def connect() -> tuple[Servers, _Lanes]:
            connected = servers()
            return connected, _Lanes(connected, options, resume)

        self._servers, self._lanes = self._run(connect())

    def predict(self, image: Image, *, timeout: float | None = None) -> Prediction:
        """Classifies one image, together with whatever other threads ask meanwhile.

        Takes and raises what `AsyncPipeline.predict` does.
        """
        pixels = one_image(image)
        check_range(pixels)
        ask = _ThreadAsk(pixels.data, self._timeout if timeout is None else timeout, self._retries)
        self._asked.append((ask, pixels))
        if self._closed:  # looked at after that: what was there before, `close` tells
            raise _closed()
        if not self._woken:
            self._woken = True
            with suppress(RuntimeError):  # closed just now: `close` tells
                self._loop.call_soon_threadsafe(self._take)
        return ask.wait()

    def close(self) -> None:
        """Leaves the stream; who still waits gets CANCELLED."""
        if self._closed:
            return
        self._closed = True

        async def leave() -> None:
            await self._lanes.close()
            for server in self._servers.all:
                await server.channel.close()
            # What gRPC itself left running would complain when the loop is gone.
            left = asyncio.all_tasks() - {asyncio.current_task()}
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

        self._run(leave())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._take()
        self._loop.close()

    def _take(self) -> None:
        self._woken = False  # first: who asks from here on wakes the loop again
        while self._asked:
            self._lanes.add(*self._asked.popleft())

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()


class _Lanes:
    """A lane for each encoding, made when it is first asked for."""

    def __init__(self, servers: Servers, options: digits_pb2.StreamOptions, resume: float) -> None:
        self._servers = servers
        self._options = options
        self._resume = resume
        self._of: dict[int, Lane] = {}
        self._closed = False

    def add(self, ask: Ask, pixels: Pixels) -> None:
        lane = self._of.get(pixels.encoding)
        if self._closed:
            ask.fail(_closed())
        elif lane is not None:
            lane.add(ask)
        else:
            options = digits_pb2.StreamOptions()
            options.CopyFrom(self._options)
            options.encoding = pixels.encoding
            self._of[pixels.encoding] = Lane(self._servers, options, self._resume)
            self._of[pixels.encoding].add(ask)

    async def close(self) -> None:
        self._closed = True
        for lane in self._of.values():
            await lane.close(_closed())


def _closed() -> CallError:
    return CallError(grpc.StatusCode.CANCELLED, "the pipeline is closed")


class _AsyncAsk(Ask):
    """Somebody awaits it."""

    __slots__ = ("future",)

    def __init__(self, pixels: bytes, timeout: float | None, retries: int) -> None:
        super().__init__(pixels, timeout, retries)
        self.future: asyncio.Future[Prediction] = asyncio.get_running_loop().create_future()

    @property
    def over(self) -> bool:
        return self.future.done()

    def answer(self, prediction: Prediction) -> None:
        if not self.future.done():
            self.future.set_result(prediction)

    def fail(self, error: DigitServeError) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class _ThreadAsk(Ask):
    """A thread sleeps until it is over."""

    __slots__ = ("_asleep", "_error", "_over", "_prediction")

    def __init__(self, pixels: bytes, timeout: float | None, retries: int) -> None:
        super().__init__(pixels, timeout, retries)
        self._over = False
        self._prediction: Prediction | None = None
        self._error: DigitServeError | None = None
        self._asleep = threading.Lock()  # the cheapest thing that a thread can wait for
        self._asleep.acquire()

    @property
    def over(self) -> bool:
        return self._over

    def wait(self) -> Prediction:
        try:
            self._asleep.acquire()
        finally:
            self._over = True  # also when the thread was interrupted: nobody waits any more
        if self._error is not None:
            raise self._error
        assert self._prediction is not None
        return self._prediction

    def answer(self, prediction: Prediction) -> None:
        if not self._over:
            self._over, self._prediction = True, prediction
            self._asleep.release()

    def fail(self, error: DigitServeError) -> None:
        if not self._over:
            self._over, self._error = True, error
            self._asleep.release()
