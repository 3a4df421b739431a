"""A server, wired together: the one place where the parts meet.

start ─▶ listening, NOT_SERVING ─▶ versions read, checked, warmed ─▶ SERVING
drain ─▶ NOT_SERVING, notices ─▶ lame duck ─▶ new calls refused ─▶ the open ones end ─▶ stopped
"""

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from digitserve.server.config import Config
from digitserve.server.core import Core, Led
from digitserve.server.extras import MissingExtra
from digitserve.server.guard.tls import Tls, tls_of
from digitserve.server.observe.family import Snapshot
from digitserve.server.services import Service
from digitserve.server.services.drain import Drain
from digitserve.server.transport.http2.server import Http2Server
from digitserve.server.versions.version import Version

if TYPE_CHECKING:
    from starlette.routing import Route

    from digitserve.server.web.front import Front

__all__ = ["MissingExtra", "Server", "metrics_at"]

_log = logging.getLogger(__name__)

# Seconds for the last answers to leave, and for neighbours that never end (health's Watch).
_LAST_WORDS_S = 0.5
# Seconds after which a scrape is given up: whoever asks does not wait longer.
_SCRAPE_S = 5.0


class Server(Core):
    """A model server, from its start to the end of its drain.

    Attributes:
        http: where HTTP/1.1 is served, once it is.
    """

    def __init__(
        self, config: Config, versions: Sequence[Version] | None = None, led: Led | None = None
    ) -> None:
        """Makes a server that does nothing yet, as `Core` does.

        Raises:
            GuardError: as `Core` does.
            MissingExtra: so too, or if HTTP is wanted, and what it takes is not installed.
        """
        super().__init__(config, versions, led)
        self._alone = led is None
        self._stop_metrics: Callable[[], None] = lambda: None
        self._tls, self._web_tls = tls_of(config), tls_of(config, "http/1.1")
        self._server = Http2Server(
            self.services,
            self.leaving,
            max_message_bytes=config.max_message_bytes,
            max_age_s=config.connection_max_age_s,
            tls=None if self._tls is None else self._tls.context,
            socket_mode=int(config.socket_mode, 8),
        )
        self._web = _front(config, self.services, self.leaving, self._web_tls)
        self.http = ""

    async def start(self) -> tuple[str, ...]:
        """Listens, makes the models ready, and then turns healthy.

        Returns:
            The addresses, with the ports that were taken.

        Raises:
            AddressError: if an address cannot be had.
            MissingExtra: if metrics are wanted, and what tells them is not installed.
            BundleError: if a model cannot be served.
        """
        addresses = [
            await self._server.listen(each, reuse_port=not self._alone)
            for each in self.config.addresses
        ]
        await self._server.start()
        try:
            if self._web is not None:
                await self._start_web(self._web)
            if self.config.metrics is not None and self._alone:
                self._stop_metrics = metrics_at(self.config.metrics, self._gather())
            await self.open(*(each.watch for each in (self._tls, self._web_tls) if each))
        except BaseException:
            await self._stop_calls()
            self._stop_metrics()
            raise
        return tuple(addresses)

    async def drain(self, lame_duck_s: float) -> bool:
        """Finishes what was accepted, then stops.

        Args:
            lame_duck_s: seconds in which new unary calls are still served.

        Returns:
            Whether everything that was open ended by itself.
        """
        self.health.welcome(False)
        self.leaving.begin(self.config.grace_s)
        await asyncio.sleep(lame_duck_s)
        ended = await self._all_ended(self.config.grace_s + _LAST_WORDS_S)
        await self._stop_calls(_LAST_WORDS_S if ended else 0.0)
        await self.close()
        return ended and self.leaving.clean

    async def stop(self) -> None:
        """Stops at once; what is open is cut."""
        await self._stop_calls()
        await self.close()

    async def failed(self) -> None:
        """Ends, by an exception, if something ends the server that is no signal; nothing does."""
        await asyncio.get_running_loop().create_future()

    def _gather(self) -> Callable[[], list[tuple[None, Snapshot]]]:
        """Takes snapshots for another thread: in one of them all figures are of one moment."""
        loop = asyncio.get_running_loop()

        async def taken() -> Snapshot:
            return self.snapshot()

        return lambda: [(None, asyncio.run_coroutine_threadsafe(taken(), loop).result(_SCRAPE_S))]

    async def _start_web(self, web: "Front") -> None:
        self.http = web.listen(reuse_port=not self._alone)
        await web.start()
        _log.info("HTTP at http%s://%s", "" if self._web_tls is None else "s", self.http)

    async def _all_ended(self, within_s: float) -> bool:
        """Refuses what is new; says whether all that is under way ended in so many seconds."""
        try:
            async with asyncio.timeout(within_s), asyncio.TaskGroup() as tasks:
                refusing = tasks.create_task(self._stop_calls(math.inf))
                # A call may wait for its caller: to send the rest, or to take what was answered.
                await self.leaving.idle()
                await self._server.idle()
                refusing.cancel()
        except TimeoutError:
            return False
        return True

    async def _stop_calls(self, grace_s: float = 0.0) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._server.stop(grace_s))
            if self._web is not None:
                tasks.create_task(self._web.stop(grace_s))

    async def close(self) -> None:
        """Lets go of everything, and tells no more of it."""
        self._stop_metrics()
        await super().close()


def _front(
    config: Config, services: Sequence[Service], drain: Drain, tls: Tls | None
) -> "Front | None":
    if config.http is None:
        return None
    try:
        from digitserve.server.web.front import Front  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtra(f"--http: {error}; pip install 'digitserve[http]'") from error
    return Front(
        services,
        _routes(config, services, drain),
        drain,
        address=config.http,
        origins=config.http_origins or (),
        max_message_bytes=config.max_message_bytes,
        tls=tls,
    )


def _routes(config: Config, services: Sequence[Service], drain: Drain) -> list["Route"]:
    """What is served to HTTP/1.1 beside gRPC-Web."""
    if not config.open_inference:
        return []
    from digitserve.server.adapters.open_inference.messages import NAME  # noqa: PLC0415
    from digitserve.server.adapters.open_inference.rest import Rest  # noqa: PLC0415

    return [
        route
        for service in services
        if service.name == NAME
        for route in Rest(service, drain, config.max_message_bytes).routes
    ]


def metrics_at(
    address: str, gather: Callable[[], Sequence[tuple[str | None, Snapshot]]]
) -> Callable[[], None]:
    """Serves metrics; returns what stops that.

    Raises:
        AddressError: if the address cannot be had.
        MissingExtra: if what tells them is not installed.
    """
    try:
        from digitserve.server.observe.metrics import serve_metrics  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtra(f"--metrics: {error}; pip install 'digitserve[metrics]'") from error
    taken, stop = serve_metrics(address, gather)
    _log.info("metrics at http://%s/metrics", taken)
    return stop
