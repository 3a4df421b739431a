"""The services, one module each, and the little that they know of a call.

A handler holds the happy path: it decodes, asks and encodes, and raises a `DomainError` where it
must.  Which framework carries the call, and how an error is said, is the transport's business.
"""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias, cast

from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message

from digitserve.server.errors import BadField


class Garbage:
    """Stands for bytes that are no message: a stream goes on after them."""


class End:
    """Stands for the caller's half-close."""


GARBAGE: Final = Garbage()
END: Final = End()

# What a handler answers: a message, or the bytes of one where its objects would cost too much.
Response: TypeAlias = Message | bytes


def serialized(response: Response) -> bytes:
    """The bytes of a response."""
    return response if isinstance(response, bytes) else response.SerializeToString()


class CallEnded(Exception):
    """The call is over: there is nobody to write to."""


class Call(Protocol):
    """What a unary handler may know of its call."""

    def peer(self) -> str:
        """Who calls: the address of the connection."""
        ...

    def metadata(self, name: str) -> str:
        """The first value that the caller sent under a lower-case name; empty if there is none."""
        ...

    def certificate(self) -> str:
        """The name in the caller's verified certificate; empty if it showed none."""
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
        stream: its handler, if it has many of either.
        endless: whether it goes on for as long as the server does: a drain does not wait for it.
        light: whether it seldom waits for anything: then it is begun where it arrives, and needs no
            task of its own.
    """

    request: type[Message]
    unary: Callable[[Any, Call], Coroutine[Any, Any, Response]] | None = None
    stream: Callable[[StreamCall], Coroutine[Any, Any, None]] | None = None
    endless: bool = False
    light: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """A service.

    Attributes:
        name: its full name.
        methods: its methods, by their names.
        pool: gives the pool that describes its messages; None: protobuf's own does.
    """

    name: str
    methods: Mapping[str, Method]
    pool: Callable[[], DescriptorPool] | None = None


def checked(message: Any, expected: type[Message]) -> Any:
    """What a call was sent, if it is a message.

    Raises:
        BadField: if it is none.
    """
    if message is GARBAGE:
        raise BadField("", "NOT_A_MESSAGE", f"expected a {expected.__name__}")
    return message


class _Unread:
    """Stands for a type of message that a handler parses itself, when it knows that it will."""

    FromString = bytes  # of bytes it makes no others


def unread(request: type[Message]) -> type[Message]:
    """The type, in whose place a handler is given the bytes; `parsed` makes a message of them."""
    return cast("type[Message]", type(request.__name__, (_Unread,), {}))


def parsed(data: bytes, request: type[Message]) -> Any:
    """What was sent to a handler that is given bytes.

    Raises:
        BadField: if it is no message.
    """
    try:
        return request.FromString(data)
    except DecodeError:
        return checked(GARBAGE, request)


async def first_message(call: StreamCall, expected: type[Message]) -> Any:
    """The message of a call that is sent just one.

    Raises:
        BadField: if it is none.
    """
    message = await call.read()
    if message is END:
        raise BadField("", "MESSAGE_MISSING", f"expected a {expected.__name__}, got none")
    return checked(message, expected)
