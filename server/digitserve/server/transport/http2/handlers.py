"""Runs what is called, and says how it ended."""

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any

from digitserve.server.services import CallEnded, checked
from digitserve.server.services.drain import Drain
from digitserve.server.statuses import first_cause
from digitserve.server.transport.http2.call import Http2Call


class Handlers:
    """The calls that run.  Their tasks end by themselves: nothing that they raise is lost."""

    def __init__(self, drain: Drain) -> None:
        """`drain` is told which calls are running."""
        self._drain = drain
        self._loop = asyncio.get_running_loop()

    def begin(self, call: Http2Call, message: bytes) -> None:
        """Runs a call of one message."""
        running = self._unary(call, message)
        if not call.method.light:
            call.keep_time()
            call.task = self._loop.create_task(running)
            return
        # Most are done before they wait for anything: half of what a task would cost them.
        try:
            awaited = running.send(None)
        except StopIteration:
            return
        call.keep_time()
        call.task = self._loop.create_task(_Resumed(running, awaited))

    def begin_stream(self, call: Http2Call) -> None:
        """Runs a call of many messages."""
        call.keep_time()
        call.task = self._loop.create_task(self._stream(call))

    async def _unary(self, call: Http2Call, message: bytes) -> None:
        method = call.method
        assert method.unary is not None
        self._drain.enter()
        try:
            request = checked(call.parsed(message), method.request)
            call.answer(await method.unary(request, call))
        except Exception as error:
            call.fail(error)
        finally:
            self._drain.leave()

    async def _stream(self, call: Http2Call) -> None:
        method = call.method
        assert method.stream is not None
        if not method.endless:
            self._drain.enter()
        try:
            await method.stream(call)
            call.succeed()
        except Exception as error:
            if not isinstance(first_cause(error), CallEnded):
                call.fail(error)
        finally:
            if not method.endless:
                self._drain.leave()


class _Resumed(Coroutine[Any, Any, None]):
    """Goes on with what was begun by hand and waits for a future, as a task expects it to."""

    def __init__(self, running: Coroutine[Any, Any, None], awaited: asyncio.Future[Any]) -> None:
        self._running = running
        self._awaited: asyncio.Future[Any] | None = awaited

    def send(self, value: None) -> Any:
        """Tells the task what is waited for, then goes on."""
        if self._awaited is not None:
            awaited, self._awaited = self._awaited, None
            return awaited
        return self._running.send(value)

    def throw(self, *error: Any) -> Any:
        """Goes on with an error; a task that is cancelled before it began knows no future yet."""
        if self._awaited is not None:
            self._awaited.cancel()
            self._awaited = None
        return self._running.throw(*error)

    def close(self) -> None:
        """Ends it."""
        self._running.close()

    def __await__(self) -> Generator[Any, Any, None]:
        return self._running.__await__()
