"""ModelService at a worker: asked here, done by the supervisor, answered when all follow."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any

from google.protobuf.message import Message

from digitserve.server.errors import Draining
from digitserve.server.services import Call, Method, Response, Service
from digitserve.server.workers.channel import ChannelClosed

# Requests that are with the supervisor at once; the others wait here.
_MOST = 16


class Relay:
    """Hands calls on."""

    def __init__(self, ask: Callable[[str, str], Awaitable[Any]]) -> None:
        """Asks by `ask(method, request)`, both ways in base 85."""
        self._ask = ask
        self._room = asyncio.Semaphore(_MOST)
        self._asked: set[asyncio.Task[bytes]] = set()

    def relayed(self, service: Service) -> Service:
        """The service, of which this process answers nothing but what never changes."""
        methods = {
            name: method if name == "GetLimits" else Method(method.request, self._method(name))
            for name, method in service.methods.items()
        }
        return Service(service.name, methods)

    def _method(self, name: str) -> Callable[[Any, Call], Any]:
        async def relay(request: Message, _: Call) -> Response:
            await self._room.acquire()
            task = asyncio.create_task(self._said(name, request))
            self._asked.add(task)
            task.add_done_callback(self._over)
            # Its caller may go; it is with the supervisor all the same, and keeps its room.
            return await asyncio.shield(task)

        return relay

    async def _said(self, name: str, request: Message) -> bytes:
        data = base64.b85encode(request.SerializeToString()).decode()
        try:
            return base64.b85decode(await self._ask(name, data))
        except ChannelClosed:
            raise Draining from None

    def _over(self, task: "asyncio.Task[bytes]") -> None:
        self._room.release()
        self._asked.discard(task)
        if not task.cancelled():
            task.exception()  # told to the caller, if he is still there
