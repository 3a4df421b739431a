"""The services, one module each, and the little that they know of a call.

A handler holds the happy path: it decodes, asks and encodes, and raises a `DomainError` where it
must.  Which framework carries the call, and how an error is said, is the transport's business.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from google.protobuf.message import Message


class Garbage:
    """Stands for bytes that are no message.

    A deserialiser must not raise: grpc.aio would end the call UNKNOWN.  It gives this instead, to
    whoever can say it properly.
    """


class End:
    """Stands for the caller's half-close."""


GARBAGE: Final = Garbage()
END: Final = End()

# What a handler answers: a message, or the bytes of one where its objects would cost too much.
Response: TypeAlias = Message | bytes


class CallEnded(Exception):
    """The call is over: there is nobody to write to."""


class Call(Protocol):
    """What a unary handler may know of its call."""

    def peer(self) -> str:
        """Who calls: the address of the connection."""
        ...

    def key(self) -> str:
        """The caller's own name, from the metadata `digitserve-key`; empty if it gives none."""
        ...

    def deadline(self) -> float | None:
        """The instant, by the monotonic clock, at which the caller stops waiting."""
        ...


class StreamCall(Call, Protocol):
    """What a stream handler may know of its call."""

    async def read(self) -> Any:
        """The next message, or GARBAGE, or END."""
        ...

    async def write(self, response: Response) -> None:
        """Sends a message; waits while the caller does not read.

        Raises:
            CallEnded: if there is nobody to write to.
        """
        ...


@dataclass(frozen=True, slots=True)
class Method:
    """One method of a service.

    Attributes:
        request: the type of its request messages.
        unary: its handler, if it has one request and one response.
        stream: its handler, if it has many of both.
    """

    request: type[Message]
    unary: Callable[[Any, Call], Awaitable[Response]] | None = None
    stream: Callable[[StreamCall], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """A service: its full name and its methods by theirs."""

    name: str
    methods: Mapping[str, Method]
