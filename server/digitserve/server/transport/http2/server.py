"""gRPC on asyncio alone: sockets that listen, and the connections that came of them."""

import asyncio
import socket
import ssl
from collections.abc import Iterable

from digitserve.server.addresses import listening
from digitserve.server.guard.tls import certificate_name
from digitserve.server.services import Method, Service
from digitserve.server.services.drain import Drain
from digitserve.server.transport.http2.connection import Connection
from digitserve.server.transport.http2.handlers import Handlers

# Connections that the kernel keeps for us while we are busy.
_BACKLOG = 1024
# Seconds after which a peer that vanished without a word is noticed, by the kernel's probes.
_KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 20, "TCP_KEEPCNT": 3}
# Seconds for peers to take what was written to them before the server stops.
_LAST_BYTES_S = 1.0


class Http2Server:
    """Serves services.

    Attributes:
        methods: what can be called, by its full name.
        handlers: what runs it.
        connections: the open ones.
        max_message_bytes: bytes in one message.
        max_age_s: seconds after which a connection's client is sent elsewhere, on average.
        stopping: whether nobody is let in any more.
    """

    def __init__(
        self,
        services: Iterable[Service],
        drain: Drain,
        *,
        max_message_bytes: int,
        max_age_s: float,
        tls: ssl.SSLContext | None = None,
        socket_mode: int = 0o666,
    ) -> None:
        """Makes a server that does nothing yet; inside a running event loop.

        Args:
            services: what it serves.
            drain: told which calls are running.
            max_message_bytes: bytes in one message.
            max_age_s: seconds after which a connection's client is sent elsewhere, give or take a
                tenth.
            tls: what callers over TCP must speak; None: plain text.
            socket_mode: the file mode of Unix sockets.
        """
        self.methods: dict[str, Method] = {
            f"/{service.name}/{name}": method
            for service in services
            for name, method in service.methods.items()
        }
        self.handlers = Handlers(drain)
        self.connections: set[Connection] = set()
        self.max_message_bytes = max_message_bytes
        self.max_age_s = max_age_s
        self.stopping = False
        self._tls = tls
        self._socket_mode = socket_mode
        self._listeners: list[asyncio.Server] = []
        self._changed = asyncio.Event()

    async def listen(self, address: str, *, reuse_port: bool = False) -> str:
        """Takes an address: `host:port` or `unix:PATH`.  Nobody is let in before `start`.

        Args:
            address: the address.
            reuse_port: whether other processes listen there too.

        Returns:
            The address with the port that was taken.

        Raises:
            AddressError: if it is no address, or another server holds it.
        """
        loop = asyncio.get_running_loop()
        name, sockets = listening(address, _BACKLOG, self._socket_mode, reuse_port=reuse_port)
        for each in sockets:
            local = each.family == socket.AF_UNIX
            make = loop.create_unix_server if local else loop.create_server
            listener = await make(
                lambda: Connection(self),
                sock=each,
                backlog=_BACKLOG,
                ssl=None if local else self._tls,
                start_serving=False,
            )
            self._listeners.append(listener)
        return name

    async def start(self) -> None:
        """Lets callers in."""
        for listener in self._listeners:
            await listener.start_serving()

    async def stop(self, grace_s: float = 0.0) -> None:
        """Refuses what is new, waits so many seconds for what is open, and cuts the rest."""
        self.stopping = True
        for listener in self._listeners:
            listener.close()
        for connection in list(self.connections):
            connection.refuse()
        try:
            async with asyncio.timeout(grace_s):
                await self._none_left()
        except TimeoutError:
            pass
        for connection in list(self.connections):
            connection.cut()
        try:  # what was said last is on its way
            async with asyncio.timeout(_LAST_BYTES_S):
                await self._none_left()
        except TimeoutError:
            for connection in list(self.connections):
                connection.abort()

    async def idle(self) -> None:
        """Waits until no connection has calls that come to an end; new ones are refused by then."""
        while not all(connection.parting for connection in self.connections):
            await self._change()

    def parted(self) -> None:
        """Notices that a connection has no more calls."""
        self._changed.set()

    def lost(self, connection: Connection) -> None:
        """Forgets a connection."""
        self.connections.discard(connection)
        self._changed.set()

    def known(self, transport: asyncio.Transport) -> tuple[str, str]:
        """Who is at the other end, and the name that its certificate proves."""
        made: socket.socket = transport.get_extra_info("socket")
        if made.family == socket.AF_UNIX:
            return "unix:", ""
        if (name := transport.get_extra_info("peername")) is None:
            return "", ""  # gone already
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE.items():
            if (number := getattr(socket, option, None)) is not None:
                made.setsockopt(socket.IPPROTO_TCP, number, value)
        host, port, *_ = name
        peer = f"ipv6:[{host}]:{port}" if made.family == socket.AF_INET6 else f"ipv4:{host}:{port}"
        return peer, certificate_name(transport.get_extra_info("peercert"))

    async def _none_left(self) -> None:
        while self.connections:
            await self._change()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
