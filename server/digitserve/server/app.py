"""A server, wired together: the one place where the parts meet.

start ─▶ listening, NOT_SERVING ─▶ versions read, checked, warmed ─▶ SERVING
drain ─▶ NOT_SERVING, notices ─▶ lame duck ─▶ new calls refused ─▶ the open ones end ─▶ stopped
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

from digitserve.server.adapters import Behind
from digitserve.server.adapters.wanted import adapters_of
from digitserve.server.admission import Admission
from digitserve.server.config import Config
from digitserve.server.extras import MissingExtra
from digitserve.server.guard.tls import Tls, tls_of
from digitserve.server.observe.calls import observed
from digitserve.server.observe.family import Snapshot
from digitserve.server.observe.observing import observer_of
from digitserve.server.observe.standing import of_process, of_registry, of_server
from digitserve.server.services import Service
from digitserve.server.services.digits import digit_service
from digitserve.server.services.drain import Drain, Stream
from digitserve.server.services.health import Health
from digitserve.server.services.models import model_service
from digitserve.server.services.reflection import reflection_service
from digitserve.server.transport.http2.server import Http2Server
from digitserve.server.versions.registry import Registry
from digitserve.server.versions.version import Version
from digitserve.server.versions.watch import Watch

if TYPE_CHECKING:
    from starlette.routing import Route

    from digitserve.server.guard.guarding import Guard
    from digitserve.server.guard.limits import Accounts
    from digitserve.server.web.front import Front

__all__ = ["Led", "MissingExtra", "Server", "metrics_at"]

_log = logging.getLogger(__name__)

# Seconds for the last answers to leave, and for neighbours that never end (health's Watch).
_LAST_WORDS_S = 0.5
# Seconds after which a scrape is given up: whoever asks does not wait longer.
_SCRAPE_S = 5.0


class Led(NamedTuple):
    """What a server has from its supervisor, if it is one of several workers.

    Attributes:
        registry: its versions, which others keep.
        accounts: what callers have asked for, of any worker; None: nobody is asked who he is.
        relayed: makes ModelService one that asks the supervisor.
    """

    registry: Registry
    accounts: "Accounts | None"
    relayed: Callable[[Service], Service]


class Server:
    """A model server, from its start to the end of its drain.

    Attributes:
        registry: its versions.
        watch: what keeps them as the folder says.
        guard: who may do what; None: anybody anything.
        admission: who is let in.
        observer: what watches the calls; None: nobody wants to know.
        http: where HTTP/1.1 is served, once it is.
    """

    def __init__(
        self, config: Config, versions: Sequence[Version] | None = None, led: Led | None = None
    ) -> None:
        """Makes a server that does nothing yet; inside a running event loop.

        Args:
            config: how it runs.
            versions: what it serves; None: what `config.models` holds, watched.
            led: what its supervisor keeps for it; None: it has none.

        Raises:
            GuardError: if what tells who may do what cannot be read, or is wrong.
            MissingExtra: if JWTs, traces or HTTP are wanted, and what they take is not installed.
        """
        self._config = config
        self._versions = () if led else versions
        self._led = led
        self.registry = led.registry if led else Registry()
        self.watch = Watch(config, self.registry)
        self._background: asyncio.Task[None] | None = None
        self._stop_metrics: Callable[[], None] = lambda: None
        self.observer = observer_of(config)
        self._drain = Drain()
        self.admission = Admission(config.max_queue_images, config.max_wait_s)
        models = model_service(config, self.registry, self.watch)
        if led is not None:
            models = led.relayed(models)
        services = (
            digit_service(config, self.registry, self._drain, self.admission, self.observer),
            models,
        )
        adapters = adapters_of(
            Behind(
                config,
                self.registry,
                self._drain,
                self.admission,
                self.observer,
                models,
                ready=lambda: self._health.ready,
            )
        )
        names = [service.name for service in services]
        self._health = Health([*names, *(adapter.name for adapter in adapters)])
        self.registry.on_stable = self._health.model
        neighbours = [self._health.service, *adapters]
        if config.reflection:
            neighbours.append(reflection_service([*services, *neighbours]))
        accounts = led.accounts if led else None
        self.guard, reached = _behind_guard(config, accounts, [*services, *neighbours])
        watched = [observed(service, self.observer) for service in reached]
        self._tls, self._web_tls = tls_of(config), tls_of(config, "http/1.1")
        self._server = Http2Server(
            watched,
            self._drain,
            max_message_bytes=config.max_message_bytes,
            max_age_s=config.connection_max_age_s,
            tls=None if self._tls is None else self._tls.context,
            socket_mode=int(config.socket_mode, 8),
        )
        self._web = _front(config, watched, self._drain, self._web_tls)
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
            await self._server.listen(each, reuse_port=self._led is not None)
            for each in self._config.addresses
        ]
        await self._server.start()
        try:
            if self._web is not None:
                await self._start_web(self._web)
            if self._config.metrics is not None and self._led is None:
                self._stop_metrics = metrics_at(self._config.metrics, self._gather())
            if self._versions is None:
                await self.watch.start()
            else:
                self.registry.publish(self._versions)
        except BaseException:
            await self._stop_calls()
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
            tasks.create_task(self._stop_calls(self._config.grace_s + _LAST_WORDS_S))
            await self._drain.idle()
            await self._stop_calls(_LAST_WORDS_S)
        await self._close()
        return self._drain.clean

    async def stop(self) -> None:
        """Stops at once; what is open is cut."""
        await self._stop_calls()
        await self._close()

    def snapshot(self) -> Snapshot:
        """What there is to tell at this moment, as plain data; to be called where it runs."""
        counted = [] if self.observer is None else self.observer.figures.snapshot()
        full = of_server(self.admission, ready=self._health.ready)
        return [*full, *counted, *of_registry(self.registry), *of_process()]

    async def failed(self) -> None:
        """Ends, by an exception, if something ends the server that is no signal; nothing does."""
        await asyncio.get_running_loop().create_future()

    @property
    def streams(self) -> Collection[Stream]:
        """The open streams."""
        return self._drain.streams

    def _gather(self) -> Callable[[], list[tuple[None, Snapshot]]]:
        """Takes snapshots for another thread: in one of them all figures are of one moment."""
        loop = asyncio.get_running_loop()

        async def taken() -> Snapshot:
            return self.snapshot()

        return lambda: [(None, asyncio.run_coroutine_threadsafe(taken(), loop).result(_SCRAPE_S))]

    async def _beside(self) -> None:
        """What goes on beside the calls, until the end."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.registry.shadow.run())
            for each in (self._tls, self._web_tls):
                if each is not None:
                    tasks.create_task(each.watch())
            if self._versions is None and self._config.watch_s:
                tasks.create_task(self.watch.run())
            if self.guard is not None:
                tasks.create_task(self.guard.watch())

    async def _start_web(self, web: "Front") -> None:
        assert self._config.http is not None
        self.http = web.listen(self._config.http, reuse_port=self._led is not None)
        await web.start()
        _log.info("HTTP at http%s://%s", "" if self._web_tls is None else "s", self.http)

    async def _stop_calls(self, grace_s: float = 0.0) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._server.stop(grace_s))
            if self._web is not None:
                tasks.create_task(self._web.stop(grace_s))

    async def _close(self) -> None:
        if self._background is not None:
            self._background.cancel()
            await asyncio.wait({self._background})
        self._stop_metrics()
        if self.observer is not None:
            await asyncio.to_thread(self.observer.close)
        self.registry.close()


def _behind_guard(
    config: Config, accounts: "Accounts | None", services: list[Service]
) -> tuple["Guard | None", list[Service]]:
    if not (config.tokens or config.jwks):
        return None, services
    # Who wants no guard need not wait for it to be read.
    from digitserve.server.guard.guarding import Guard, guarded  # noqa: PLC0415

    guard = Guard(config, accounts=accounts)
    return guard, [guarded(service, guard) for service in services]


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
