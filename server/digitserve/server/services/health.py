"""`grpc.health.v1`: whether each service answers, asked once or watched.

    liveness                   SERVING as long as the process answers at all: restart it if not
    readiness, "", services    SERVING while calls are welcome: started, not draining, and some
                               version is stable; send callers elsewhere if not

A server that reads its models, or drains, is alive and not ready.  Whoever restarts it for that
cuts what it is about to finish.
"""

import asyncio
from collections.abc import Iterable

from google.protobuf.message import Message
from grpc_health.v1 import health_pb2

from digitserve.server.errors import UnknownService
from digitserve.server.services import Call, Method, Service, StreamCall, first_message
from digitserve.server.texts import abridged

NAME = "grpc.health.v1.Health"
LIVENESS, READINESS = "liveness", "readiness"
# The name that stands for the server as a whole.
_OVERALL = ""

_Status = health_pb2.HealthCheckResponse


class Health:
    """What the server says of itself.

    Attributes:
        service: what tells it.
    """

    def __init__(self, names: Iterable[str]) -> None:
        """Says NOT_SERVING of these services, and of the whole; but it lives."""
        self._names = {_OVERALL, READINESS, LIVENESS, *names}
        self._welcome = self._model = False
        self._changed = asyncio.Event()
        self.service = Service(
            NAME,
            {
                "Check": Method(health_pb2.HealthCheckRequest, self._check),
                "Watch": Method(health_pb2.HealthCheckRequest, stream=self._watch, endless=True),
            },
        )

    @property
    def ready(self) -> bool:
        """Whether calls are welcome."""
        return self._welcome and self._model

    def welcome(self, calls: bool) -> None:
        """Calls are welcome from now on, or are not any more; told to whoever watches, at once."""
        self._welcome = calls
        self._tell()

    def model(self, stable: bool) -> None:
        """Some version is stable, or none is."""
        self._model = stable
        self._tell()

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _check(self, request: health_pb2.HealthCheckRequest, _: Call) -> Message:
        if request.service not in self._names:
            raise UnknownService(abridged(request.service))
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
        serving = self.ready or name == LIVENESS
        status = _Status.SERVING if serving else _Status.NOT_SERVING
        told: Message = _Status(status=status if name in self._names else _Status.SERVICE_UNKNOWN)
        return told
