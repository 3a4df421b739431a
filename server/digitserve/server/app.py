"""A server, wired together: the one place where the parts meet.

start ─▶ listening, NOT_SERVING ─▶ versions read, checked, warmed ─▶ SERVING
drain ─▶ NOT_SERVING, notices ─▶ lame duck ─▶ new calls refused ─▶ the open ones end ─▶ stopped
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence

from digitserve.server.admission import Admission
from digitserve.server.config import Config
from digitserve.server.extras import MissingExtra
from digitserve.server.guard.guarding import Guard, guarded
from digitserve.server.guard.tls import tls_of
from digitserve.server.services.digits import digit_service
from digitserve.server.services.drain import Drain
from digitserve.server.services.health import Health
from digitserve.server.services.models import model_service
from digitserve.server.services.reflection import reflection_service
from digitserve.server.services.streams import Stream
from digitserve.server.transport.http2.server import Http2Server
from digitserve.server.versions.registry import Registry
from digitserve.server.versions.version import Version
from digitserve.server.versions.watch import Watch

__all__ = ["MissingExtra", "Server"]

_log = logging.getLogger(__name__)

# Seconds for the last answers to leave, and for neighbours that never end (health's Watch).
_LAST_WORDS_S = 0.5


class Server:
    """A model server, from its start to the end of its drain.

    Attributes:
        registry: its versions.
        watch: what keeps them as the folder says.
        guard: who may do what; None: anybody anything.
        admission: who is let in.
    """

    def __init__(self, config: Config, versions: Sequence[Version] | None = None) -> None:
        """Makes a server that does nothing yet; inside a running event loop.

        Args:
            config: how it runs.
            versions: what it serves; None: what `config.models` holds, watched.

        Raises:
            GuardError: if what tells who may do what cannot be read, or is wrong.
            MissingExtra: if JWTs are wanted, and what reads them is not installed.
        """
        self._config = config
        self._versions = versions
        self.registry = Registry()
        self.watch = Watch(config, self.registry)
        self.guard = Guard(config) if config.tokens or config.jwks else None
        self._tls = tls_of(config)
        self._background: asyncio.Task[None] | None = None
        self._stop_metrics: Callable[[], None] = lambda: None
        self._drain = Drain()
        self.admission = Admission(config.max_queue_images, config.max_wait_s)
        services = (
            digit_service(config, self.registry, self._drain, self.admission),
            model_service(config, self.registry, self.watch),
        )
        names = [service.name for service in services]
        self._health = Health(names)
        self.registry.on_stable = self._health.model
        neighbours = [self._health.service]
        if config.reflection:
            neighbours.append(reflection_service([*names, self._health.service.name]))
        self._server = Http2Server(
            [guarded(service, self.guard) for service in (*services, *neighbours)],
            self._drain,
            max_message_bytes=config.max_message_bytes,
            tls=None if self._tls is None else self._tls.context,
            socket_mode=int(config.socket_mode, 8),
        )

    async def start(self) -> tuple[str, ...]:
        """Listens, makes the models ready, and then turns healthy.

        Returns:
            The addresses, with the ports that were taken.

        Raises:
            AddressError: if an address cannot be had.
            MissingExtra: if metrics are wanted, and what tells them is not installed.
            BundleError: if a model cannot be served.
        """
        addresses = [await self._server.listen(each) for each in self._config.addresses]
        await self._server.start()
        try:
            if self._config.metrics is not None:
                self._stop_metrics = _serve_metrics(self._config.metrics, self.registry)
            if self._versions is None:
                await self.watch.start()
            else:
                self.registry.publish(self._versions)
        except BaseException:
            await self._server.stop()
            self._stop_metrics()
            raise
        self._background = asyncio.create_task(self._beside())
        self._health.welcome(True)
        return tuple(addresses)

    async def drain(self, lame_duck_s: float) -> bool:
        """Finishes what was accepted, then stops.

        Args:
            lame_duck_s: seconds in which new unary calls are still served.

        Returns:
            Whether everything that was open ended by itself.
        """
        self._health.welcome(False)
        self._drain.begin(self._config.grace_s)
        await asyncio.sleep(lame_duck_s)
        async with asyncio.TaskGroup() as tasks:
            # Refuses what is new; what is running has until the grace is over.
            tasks.create_task(self._server.stop(self._config.grace_s + _LAST_WORDS_S))
            await self._drain.idle()
            await self._server.stop(_LAST_WORDS_S)
        await self._close()
        return self._drain.clean

    async def stop(self) -> None:
        """Stops at once; what is open is cut."""
        await self._server.stop()
        await self._close()

    @property
    def streams(self) -> Collection[Stream]:
        """The open streams."""
        return self._drain.streams

    async def _beside(self) -> None:
        """What goes on beside the calls, until the end."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.registry.shadow.run())
            if self._tls is not None:
                tasks.create_task(self._tls.watch())
            if self._versions is None and self._config.watch_s:
                tasks.create_task(self.watch.run())
            if self.guard is not None:
                tasks.create_task(self.guard.watch())

    async def _close(self) -> None:
        if self._background is not None:
            self._background.cancel()
            await asyncio.wait({self._background})
        self._stop_metrics()
        self.registry.close()


def _serve_metrics(address: str, registry: Registry) -> Callable[[], None]:
    try:
        from digitserve.server.observe.metrics import serve_metrics  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtra(f"--metrics: {error}; pip install 'digitserve[metrics]'") from error
    taken, stop = serve_metrics(address, registry)
    _log.info("metrics at http://%s/metrics", taken)
    return stop
