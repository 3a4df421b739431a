"""`grpc.health.v1`: whether each service answers, asked once or watched."""

import asyncio
from collections.abc import Iterable

from google.protobuf.message import Message
from grpc_health.v1 import health_pb2

from digitserve.server.errors import UnknownService
from digitserve.server.services import Call, Method, Service, StreamCall, first_message

NAME = "grpc.health.v1.Health"
# The name that stands for the server as a whole.
_OVERALL = ""

_Status = health_pb2.HealthCheckResponse


class Health:
    """What the server says of itself.

    Attributes:
        service: what tells it.
        serving: what it says of the whole.
    """

    def __init__(self, names: Iterable[str]) -> None:
        """Says NOT_SERVING of these services, and of the whole."""
        self._names = {_OVERALL, *names}
        self.serving = False
        self._changed = asyncio.Event()
        self.service = Service(
            NAME,
            {
                "Check": Method(health_pb2.HealthCheckRequest, self._check),
                "Watch": Method(health_pb2.HealthCheckRequest, stream=self._watch, endless=True),
            },
        )

    def say(self, *, serving: bool) -> None:
        """Tells whoever watches, at once."""
        self.serving = serving
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _check(self, request: health_pb2.HealthCheckRequest, _: Call) -> Message:
        if request.service not in self._names:
            raise UnknownService(request.service)
        return self._told(request.service)

    async def _watch(self, call: StreamCall) -> None:
        request = await first_message(call, health_pb2.HealthCheckRequest)
        said = None
        while True:
            changed, told = self._changed, self._told(request.service)
            if told != said:
                await call.write(told)
                said = told
            await changed.wait()

    def _told(self, name: str) -> Message:
        status = _Status.SERVING if self.serving else _Status.NOT_SERVING
        told: Message = _Status(status=status if name in self._names else _Status.SERVICE_UNKNOWN)
        return told
