"""gRPC-Web: gRPC as browsers can speak it.  The end of a call is the last frame of its body.

Its text form is the same in base64.  A browser sends a stream whole before it hears anything; what
it hears comes as it is said.
Described at github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md.
"""

import asyncio
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import AsyncIterator, Coroutine
from contextlib import nullcontext
from typing import Any
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.types import Message as Event
from starlette.types import Receive, Scope, Send

from digitserve.server.errors import BadField, DeadlinePassed, Draining, QueueFull, RateExceeded
from digitserve.server.services import END, Method, Response, checked, serialized
from digitserve.server.services.drain import Drain
from digitserve.server.statuses import retry_after_ms, status_of
from digitserve.server.web.call import WebCall, within

BINARY, TEXT = "application/grpc-web", "application/grpc-web-text"
_TRAILERS = 0x80
# Of a body, read and not asked for.
_PIECES = 4


class GrpcWeb:
    """One method, as an ASGI application."""

    def __init__(self, method: Method, drain: Drain, most: int) -> None:
        """Takes messages of at most so many bytes; `drain` is told what is running."""
        self._method, self._drain, self._most = method, drain, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        headers = Headers(scope=scope)
        kind, text = _form(headers.get("content-type", ""))
        if not kind:
            await _refuse(send, 415, "expected content-type application/grpc-web or -text")
            return
        said, body = _Said(kind, send, text=text), _Body(receive, text=text)
        try:
            call = WebCall(
                self._method,
                headers,
                peer_of(scope),
                body=body.pieces(),
                write=said.message,
                most=self._most,
            )
        except ValueError as error:
            await _refuse(send, 400, str(error))
            return
        # What never ends, as health's Watch, holds up no drain, and is cut by none.
        try:
            with nullcontext() if self._method.endless else self._drain.running():
                await _first(self._answered(call, said), body.listen())
        except asyncio.CancelledError:  # the server stops
            await said.end(Draining())

    async def _answered(self, call: WebCall, said: "_Said") -> None:
        try:
            await within(call, self._handled(call))
        except TimeoutError:
            await said.end(DeadlinePassed())
        except Exception as error:
            await said.end(error)
        else:
            await said.end(None)

    async def _handled(self, call: WebCall) -> None:
        method = self._method
        if method.stream is not None:
            await method.stream(call)
            return
        assert method.unary is not None
        expected = method.request.__name__
        message = checked(await call.read(), method.request)
        if message is END:
            raise BadField("", "MESSAGE_MISSING", f"expected a {expected}, got none")
        if await call.read() is not END:
            raise BadField("", "MESSAGE_SURPLUS", f"expected one {expected}, got more")
        await call.write(await method.unary(message, call))


class _Said:
    """The body of an answer."""

    def __init__(self, kind: str, send: Send, *, text: bool) -> None:
        self._send, self._text = send, text
        self._head: Event | None = {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", kind.encode())],
        }

    async def message(self, response: Response) -> None:
        """Says a message."""
        await self._frame(0, serialized(response), more=True)

    async def end(self, error: Exception | None) -> None:
        """Says how it ended; None: well."""
        lines = [("grpc-status", "0")] if error is None else _trailers(error)
        block = "".join(f"{name}: {value}\r\n" for name, value in lines)
        await self._frame(_TRAILERS, block.encode(), more=False)

    async def _frame(self, flag: int, data: bytes, *, more: bool) -> None:
        if self._head is not None:  # not before it is known that there will be an answer
            head, self._head = self._head, None
            await self._send(head)
        body = bytes([flag]) + len(data).to_bytes(4, "big") + data
        if self._text:
            body = b64encode(body)
        await self._send({"type": "http.response.body", "body": body, "more_body": more})


class _Body:
    """The body of a request, and whether there is still somebody who waits for the answer."""

    def __init__(self, receive: Receive, *, text: bool) -> None:
        self._receive, self._text = receive, text
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue(_PIECES)

    async def listen(self) -> None:
        """Takes what comes; returns when the caller goes."""
        more = True
        while (event := await self._receive())["type"] != "http.disconnect":
            if more:
                await self._pieces.put(event.get("body", b""))
                if not (more := event.get("more_body", False)):
                    await self._pieces.put(None)

    async def pieces(self) -> AsyncIterator[bytes]:
        """What came.

        Raises:
            BadField: if it is to be base64, and is not.
        """
        rest = b""
        while (piece := await self._pieces.get()) is not None:
            if not self._text:
                yield piece
                continue
            piece = rest + piece
            whole = len(piece) - len(piece) % 4
            rest = piece[whole:]
            yield _of_base64(piece[:whole])
        if rest:
            raise BadField("", "NOT_A_MESSAGE", "base64 that breaks off")


async def _first(*some: Coroutine[Any, Any, None]) -> None:
    """Runs these until one is done."""
    tasks = [asyncio.ensure_future(each) for each in some]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.wait(tasks)
    for each in done:
        each.result()


def _of_base64(text: bytes) -> bytes:
    try:
        return b64decode(text, validate=True)
    except NotBase64 as error:
        raise BadField("", "NOT_A_MESSAGE", f"expected base64: {error}") from error


def _form(content_type: str) -> tuple[str, bool]:
    """What an answer to such a request is, and whether it is text; empty: that is no gRPC-Web."""
    kind = content_type.partition(";")[0].strip().lower()
    for name, text in ((TEXT, True), (BINARY, False)):
        if kind in (name, f"{name}+proto"):
            return f"{name}+proto", text
    return "", False


async def _refuse(send: Send, status: int, why: str) -> None:
    kind = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": kind})
    await send({"type": "http.response.body", "body": f"{why}\n".encode()})


def peer_of(scope: Scope) -> str:
    """Who calls, as gRPC names peers."""
    host, port = scope["client"] or ("", 0)
    return f"ipv6:[{host}]:{port}" if ":" in host else f"ipv4:{host}:{port}"


def _trailers(error: Exception) -> list[tuple[str, str]]:
    status = status_of(error)
    lines = [
        ("grpc-status", str(status.code)),
        ("grpc-message", quote(status.message, safe=" ")),
        ("grpc-status-details-bin", b64encode(status.SerializeToString()).decode().rstrip("=")),
    ]
    if isinstance(error, QueueFull | RateExceeded):
        lines.append(("grpc-retry-pushback-ms", str(retry_after_ms(error))))
    return lines
