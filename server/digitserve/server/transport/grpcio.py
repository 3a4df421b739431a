"""Services on grpc.aio: its contexts become `Call`s, `DomainError`s become statuses.

Generic handlers only: since 1.84 grpc.aio pays for every registered method at every call.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message
from grpc_status import rpc_status

from digitserve.server.errors import (
    QueueFull,
    RateExceeded,
    first_cause,
    retry_after_ms,
    status_of,
)
from digitserve.server.services import (
    END,
    GARBAGE,
    CallEnded,
    Garbage,
    Method,
    Response,
    Service,
    checked,
)
from digitserve.server.services.drain import Drain


class _Call:
    """A grpc.aio context as a `StreamCall`."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self._metadata: dict[str, str] | None = None

    def peer(self) -> str:
        peer: str = self._context.peer()
        return peer

    def metadata(self, name: str) -> str:
        if self._metadata is None:
            pairs = self._context.invocation_metadata() or ()
            self._metadata = {}
            for key, value in pairs:
                if isinstance(value, str):
                    self._metadata.setdefault(key, value)
        return self._metadata.get(name, "")

    def certificate(self) -> str:
        return ""

    def deadline(self) -> float | None:
        left = self._context.time_remaining()
        return None if left is None else time.monotonic() + left

    async def read(self) -> Any:
        message = await self._context.read()
        return END if message is grpc.aio.EOF else message

    async def write(self, response: Response) -> None:
        try:
            await self._context.write(response)
        except (grpc.aio.BaseError, RuntimeError) as error:  # what it raises on a finished call
            raise CallEnded from error


def add_service(server: grpc.aio.Server, service: Service, drain: Drain) -> None:
    """Lets `server` answer for `service`; `drain` knows which calls are running."""
    handlers = {name: _handler(method, drain) for name, method in service.methods.items()}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.name, handlers),))


def _handler(method: Method, drain: Drain) -> "grpc.RpcMethodHandler[Any, Any]":
    parse = _parser(method.request)
    if method.unary is not None:
        return grpc.unary_unary_rpc_method_handler(
            _unary(method.unary, method.request, drain), parse, _serialize
        )
    assert method.stream is not None
    return grpc.stream_stream_rpc_method_handler(_stream(method, drain), parse, _serialize)


def _parser(message: type[Message]) -> Callable[[bytes], Message | Garbage]:
    def parse(data: bytes) -> Message | Garbage:
        try:
            return message.FromString(data)
        except DecodeError:
            return GARBAGE

    return parse


def _serialize(response: Response) -> bytes:
    return response if isinstance(response, bytes) else response.SerializeToString()


def _unary(
    handle: Callable[[Any, Any], Awaitable[Response]], expected: type[Message], drain: Drain
) -> Callable[..., Any]:
    async def handler(request: Message | Garbage, context: Any) -> Response | None:
        drain.enter()
        try:
            return await handle(checked(request, expected), _Call(context))
        except Exception as error:  # the table decides what the caller sees of it
            await _abort(context, error)
            return None
        finally:
            drain.leave()

    return handler


def _stream(method: Method, drain: Drain) -> Callable[..., Any]:
    handle = method.stream
    assert handle is not None

    async def handler(_: object, context: Any) -> None:
        if not method.endless:
            drain.enter()
        try:
            await handle(_Call(context))
        except Exception as error:
            if not isinstance(first_cause(error), CallEnded):
                await _abort(context, error)
        finally:
            if not method.endless:
                drain.leave()

    return handler


async def _abort(context: Any, error: BaseException) -> None:
    """Ends a call with the status of `error`."""
    status = rpc_status.to_status(status_of(error))
    if isinstance(error, QueueFull | RateExceeded):
        # Clients whose service config retries this wait so long first.
        pushback = ("grpc-retry-pushback-ms", str(retry_after_ms(error)))
        status = status._replace(trailing_metadata=(*status.trailing_metadata, pushback))
    await context.abort_with_status(status)
