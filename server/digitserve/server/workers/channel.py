"""Requests and answers between a supervisor and a worker, both ways over one socket.

    ask ──▶ length, {"id": 7, "ask": "follow", "told": …} ──▶ handle
        ◀── length, {"id": 7, "said": …}  or  "wrong": …  ◀──

Plain data alone, as JSON: what a worker sends is read and never run.  Everything is bounded, the
length of a message, how many are under way and how long one may take, so that neither side can hang
the other.
"""

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from digitserve.server.workers.faults import raised, told_of

Handle: TypeAlias = Callable[[str, Any], Awaitable[Any]]

_LENGTH = struct.Struct(">I")
# A manifest with its golden answers is 45 kB, all the figures of a worker about as much.
_LONGEST = 16 * 1024 * 1024
# Requests of one side that the other has not answered yet, whether or not anybody still waits.
_MOST = 64


class ChannelClosed(Exception):
    """The other side is gone, or does not keep to the rules."""


class Silence(ChannelClosed):
    """The other side did not answer in time."""


class Channel:
    """One end."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handle: Handle
    ) -> None:
        self._reader, self._writer, self._handle = reader, writer, handle
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._owed: set[int] = set()  # what the other side has not answered
        self._last = 0
        self._handling: set[asyncio.Task[None]] = set()
        self._closed = False

    @classmethod
    async def over(cls, connected: socket.socket, handle: Handle) -> "Channel":
        """Makes the end at this socket; `run` must follow."""
        reader, writer = await asyncio.open_unix_connection(sock=connected)
        return cls(reader, writer, handle)

    async def run(self) -> None:
        """Reads until the other side is gone."""
        try:
            while True:
                (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
                if length > _LONGEST:
                    return
                self._take(json.loads(await self._reader.readexactly(length)))
        except (asyncio.IncompleteReadError, OSError, ValueError, RecursionError, ChannelClosed):
            return  # gone, or malformed: the same to us
        finally:
            self.close()

    async def ask(self, what: str, told: Any = None, *, within_s: float) -> Any:
        """Asks the other side.

        Raises:
            Silence: if it does not answer in so many seconds, or owes all the answers that it may.
            ChannelClosed: if it is gone.
            Exception: what it raised, if that is one of those it may.
        """
        if self._closed:
            raise ChannelClosed
        if len(self._owed) >= _MOST:
            raise Silence(what)  # one more, and it would hang up
        self._last += 1
        number = self._last
        self._owed.add(number)
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(within_s):
                await self._send({"id": number, "ask": what, "told": told})
                return await answer
        except TimeoutError:
            raise Silence(what) from None
        except ChannelClosed:
            self._owed.discard(number)  # too long to be sent; or nobody is there to owe anything
            raise
        finally:
            self._asked.pop(number, None)

    def close(self) -> None:
        """Lets go of the other side; what was asked of it is not answered any more."""
        self._closed = True
        self._writer.close()
        for task in self._handling:
            task.cancel()
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(ChannelClosed())

    def _take(self, message: Any) -> None:
        if not isinstance(message, dict) or not isinstance(message.get("id"), int):
            raise ChannelClosed
        if "ask" in message:
            if len(self._handling) >= _MOST:
                raise ChannelClosed  # the other side knows the bound
            task = asyncio.ensure_future(self._answer(message))
            self._handling.add(task)
            task.add_done_callback(self._handling.discard)
            return
        self._owed.discard(message["id"])
        answer = self._asked.get(message["id"])
        if answer is None or answer.done():
            return  # nobody waits for it any more
        if "wrong" in message:
            answer.set_exception(raised(message["wrong"]))
        else:
            answer.set_result(message.get("said"))

    async def _answer(self, message: dict[str, Any]) -> None:
        try:
            said = await self._handle(message["ask"], message.get("told"))
            answer = {"id": message["id"], "said": said}
        except Exception as error:
            answer = {"id": message["id"], "wrong": told_of(error)}
        try:
            await self._send(answer)
        except (OSError, ChannelClosed):
            return  # nobody is there to hear it

    async def _send(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode()
        if len(data) > _LONGEST:
            raise ChannelClosed
        if self._closed:
            raise ChannelClosed
        try:
            self._writer.write(_LENGTH.pack(len(data)) + data)
            await self._writer.drain()
        except OSError as error:
            raise ChannelClosed from error
