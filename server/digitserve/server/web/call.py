"""A call that came by HTTP/1.1, as handlers know calls."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from google.protobuf.message import DecodeError

from digitserve.server.services import END, GARBAGE, Method, Response
from digitserve.server.transport.http2.heads import seconds_of
from digitserve.server.transport.http2.messages import MessageReader

Write = Callable[[Response], Awaitable[None]]


class Caller:
    """What a unary handler may know of who calls."""

    def __init__(self, headers: Mapping[str, str], peer: str) -> None:
        """Of a request's headers, by their lower-case names, and who sent them.

        Raises:
            ValueError: if they say no deadline where they should.
        """
        self._headers, self._peer = headers, peer
        timeout_s = seconds_of(headers.get("grpc-timeout", ""))
        self._deadline = None if timeout_s is None else time.monotonic() + timeout_s

    def peer(self) -> str:
        """Who calls."""
        return self._peer

    def metadata(self, name: str) -> str:
        """What the caller sent under a name."""
        return self._headers.get(name, "")

    def certificate(self) -> str:
        """Empty: what serves HTTP/1.1 does not tell."""
        return ""

    def deadline(self) -> float | None:
        """When the caller stops waiting."""
        return self._deadline


class WebCall(Caller):
    """A `StreamCall` whose messages are the body of a request."""

    def __init__(
        self,
        method: Method,
        headers: Mapping[str, str],
        peer: str,
        *,
        body: AsyncIterator[bytes],
        write: Write,
        most: int,
    ) -> None:
        """Begins.

        Args:
            method: what is called.
            headers: of the request, by their lower-case names.
            peer: who calls.
            body: of the request, in pieces, as gRPC frames its messages.
            write: sends a message.
            most: bytes in one message.

        Raises:
            ValueError: if the headers say no deadline where they should.
        """
        super().__init__(headers, peer)
        self._write = write
        self._method = method
        self._messages: deque[bytes] = deque()
        self._reader = MessageReader(most, "identity", self._messages.append)
        self._body = body

    async def write(self, response: Response) -> None:
        """Sends a message; waits while the caller takes none."""
        await self._write(response)

    async def read(self) -> Any:
        """The next message, or GARBAGE, or END.

        Raises:
            MessageTooLong: if it is.
        """
        while not self._messages:
            piece = await anext(self._body, None)
            if piece is None:
                return END if self._reader.whole() else GARBAGE
            self._reader.feed(piece)
        try:
            return self._method.request.FromString(self._messages.popleft())
        except DecodeError:
            return GARBAGE


async def within(call: Caller, handling: Awaitable[Any]) -> Any:
    """Awaits a handler until its caller's deadline.

    Raises:
        TimeoutError: if that passes.
    """
    deadline = call.deadline()
    left = None if deadline is None else deadline - time.monotonic()
    return await asyncio.wait_for(handling, left)
