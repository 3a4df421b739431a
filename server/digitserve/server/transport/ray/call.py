"""A call that Ray took in, as handlers know calls.

What Ray does not pass on cannot be said here: the deadline, which gRPC keeps in front of us by
cancelling the call, and the caller's address, in whose place the ingress's stands.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

import grpc
from google.protobuf.message import DecodeError

from digitserve.server.errors import MessageTooLong, QueueFull, RateExceeded
from digitserve.server.services import (
    END,
    GARBAGE,
    CallEnded,
    Method,
    Response,
    serialized,
)
from digitserve.server.statuses import first_cause, retry_after_ms, status_of

# Messages of a stream that were written and not yet handed to Ray.
_UNSENT = 16


class Context(Protocol):
    """What Ray tells of a call, and is told."""

    def peer(self) -> str:
        """Who is at the other end of the connection."""
        ...

    def invocation_metadata(self) -> Sequence[tuple[str, str | bytes]]:
        """What the caller sent."""
        ...

    def set_code(self, code: grpc.StatusCode) -> None:
        """Says how it ended."""
        ...

    def set_details(self, details: str) -> None:
        """Says why."""
        ...

    def set_trailing_metadata(self, trailing_metadata: list[tuple[str, str | bytes]]) -> None:
        """Says more."""
        ...


class Requests(Protocol):
    """What a stream brings."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Itself."""
        ...

    async def __anext__(self) -> bytes:
        """The next message."""
        ...

    def is_cancelled(self) -> bool:
        """Whether its caller is gone."""
        ...


class RayCall:
    """What a unary handler may know of its call.

    Attributes:
        context: where Ray is told how it ended.
    """

    def __init__(self, context: Context) -> None:
        self.context = context

    def peer(self) -> str:
        """The address of the ingress."""
        return self.context.peer()

    def metadata(self, name: str) -> str:
        """What the caller sent under a name."""
        for key, value in self.context.invocation_metadata():
            if key == name and isinstance(value, str):
                return value
        return ""

    def certificate(self) -> str:
        """Empty: Ray speaks plain text."""
        return ""

    def deadline(self) -> float | None:
        """None: Ray does not tell."""
        return None


class RayStreamCall(RayCall):
    """A `StreamCall` whose messages Ray fetches, one when it has sent the one before."""

    def __init__(self, method: Method, requests: Requests, context: Context, most: int) -> None:
        """Takes messages of at most so many bytes."""
        super().__init__(context)
        self._method, self._requests, self._most = method, requests, most
        self._said = asyncio.Queue[bytes | None](_UNSENT)

    async def read(self) -> Any:
        """The next message, or GARBAGE, or END.

        Raises:
            CallEnded: if the caller is gone.
            MessageTooLong: if it is.
        """
        message = await anext(self._requests, None)
        if message is None:
            if self._requests.is_cancelled():
                raise CallEnded
            return END
        return parsed(self._method, message, self._most)

    async def write(self, response: Response) -> None:
        """Sends a message; waits while the caller takes none."""
        await self._said.put(serialized(response))

    async def end(self) -> None:
        """Says that this was all."""
        await self._said.put(None)

    def cut(self) -> None:
        """Says so at once; what is unsent is dropped."""
        while not self._said.empty():
            self._said.get_nowait()
        self._said.put_nowait(None)

    async def said(self) -> bytes | None:
        """The next message to be sent; None: this was all."""
        return await self._said.get()


def parsed(method: Method, message: bytes, most: int) -> Any:
    """A message, or GARBAGE.

    Raises:
        MessageTooLong: if it has more bytes than are taken.
    """
    if len(message) > most:
        raise MessageTooLong(f"expected at most {most} bytes, got {len(message)}")
    try:
        return method.request.FromString(message)
    except DecodeError:
        return GARBAGE


def fail(context: Context, error: BaseException) -> None:
    """Says what went wrong as our table has it.

    Raised, it would reach the caller without its details: Ray sends those of calls that return.
    """
    status = status_of(error)
    more: list[tuple[str, str | bytes]] = [
        ("grpc-status-details-bin", status.SerializeToString()),
    ]
    cause = first_cause(error)
    if isinstance(cause, QueueFull | RateExceeded):
        more.append(("grpc-retry-pushback-ms", str(retry_after_ms(cause))))
    context.set_code(_CODES[status.code])
    context.set_details(status.message)
    context.set_trailing_metadata(more)


_CODES = {code.value[0]: code for code in grpc.StatusCode}
