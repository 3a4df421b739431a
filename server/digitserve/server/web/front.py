"""What serves HTTP/1.1: uvicorn, on the server's own loop and sockets."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Sequence

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute, Route

from digitserve.server.addresses import host_and_port, is_local, listening
from digitserve.server.guard.tls import Tls
from digitserve.server.services import Service
from digitserve.server.services.drain import Drain
from digitserve.server.web.grpc_web import GrpcWeb
from digitserve.server.web.guarding import Guarded

_BACKLOG = 1024
# Requests and idle connections at once; who comes then is told 503.
_MOST_CONNECTIONS = 1000
# Seconds for peers to take what was written to them before the server stops.
_LAST_BYTES_S = 1.0
# What a page of another origin may send and see; credentials of the browser's own are not for us.
_SENT = (
    "authorization",
    "content-type",
    "digitserve-key",
    "grpc-timeout",
    "inference-header-content-length",
    "x-grpc-web",
    "x-user-agent",
)
_SEEN = (
    "grpc-message",
    "grpc-status",
    "grpc-status-details-bin",
    "inference-header-content-length",
    "retry-after",
)


class Front:
    """Serves services and routes to whoever speaks HTTP/1.1."""

    def __init__(
        self,
        services: Sequence[Service],
        routes: Sequence[BaseRoute],
        drain: Drain,
        *,
        address: str,
        origins: Sequence[str],
        max_message_bytes: int,
        tls: Tls | None,
    ) -> None:
        """Makes one that does nothing yet.

        Args:
            services: what is served as gRPC-Web.
            routes: what else is.
            drain: told which calls are running.
            address: where, as `host:port`.
            origins: of whose pages may call; `*`: anybody's.
            max_message_bytes: bytes in one message.
            tls: what callers must speak; None: plain text.
        """
        called = [
            Route(
                f"/{service.name}/{name}",
                GrpcWeb(method, drain, max_message_bytes),
                methods=["POST"],
            )
            for service in services
            for name, method in service.methods.items()
        ]
        self._address = address
        app = Starlette(routes=[*called, *routes], middleware=_middleware(address, origins))
        self._uvicorn = _Uvicorn(_configured(app, tls))
        self._sockets: list[socket.socket] = []
        self._serving: asyncio.Task[None] | None = None

    def listen(self, *, reuse_port: bool) -> str:
        """Takes the address, which is returned; nobody is let in before `start`.

        Raises:
            AddressError: if it cannot be had.
        """
        name, self._sockets = listening(self._address, _BACKLOG, 0, reuse_port=reuse_port)
        return name

    async def start(self) -> None:
        """Lets callers in."""
        self._serving = asyncio.create_task(self._uvicorn.serve(self._sockets))
        await self._uvicorn.up.wait()

    async def stop(self, grace_s: float = 0.0) -> None:
        """Refuses what is new, waits so many seconds for what is open, and cuts the rest."""
        if self._serving is None:
            for each in self._sockets:
                each.close()
            return
        self._uvicorn.should_exit = True
        await asyncio.wait({self._serving}, timeout=grace_s)
        self._uvicorn.force_exit = True
        state = self._uvicorn.server_state
        running = set(state.tasks)
        for task in running:
            task.cancel()
        await asyncio.wait({self._serving, *running}, timeout=_LAST_BYTES_S)
        # Who does not read what was written to him would keep us: from Python 3.12 on a listener
        # is closed when its connections are.
        for connection in list(state.connections):
            connection.transport.abort()
        await asyncio.wait({self._serving}, timeout=_LAST_BYTES_S)
        # So would one of which uvicorn does not know yet, in the midst of TLS's handshake.
        self._serving.cancel()
        await asyncio.wait({self._serving})
        if not self._serving.cancelled():
            self._serving.result()


class _Uvicorn(uvicorn.Server):
    """One whose signals are somebody else's.

    Attributes:
        up: set when it listens.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves them alone."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listens."""
        await super().startup(sockets)
        self.up.set()


def _middleware(address: str, origins: Sequence[str]) -> list[Middleware]:
    host, _ = host_and_port(address)
    listened = host.strip("[]") if is_local(address) else None
    guard = Middleware(Guarded, origins=origins, listened=listened)
    cors = Middleware(
        CORSMiddleware,
        allow_origins=list(origins),
        allow_methods=["GET", "POST"],
        allow_headers=list(_SENT),
        expose_headers=list(_SEEN),
    )
    return [guard, cors] if origins else [guard]


def _configured(app: Starlette, tls: Tls | None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        ssl_context_factory=None if tls is None else lambda *_: tls.context,
        limit_concurrency=_MOST_CONNECTIONS,
        # Callers are told apart by their addresses: no header may say another.
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        log_level="warning",
        lifespan="off",
        ws="none",
    )
