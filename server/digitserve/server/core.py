"""What a server is made of, wired together, but for the doors that callers come in by.

`app` opens sockets of its own before it; another may hand it calls that somebody else took in.
"""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from digitserve.server.adapters import Behind
from digitserve.server.adapters.wanted import adapters_of
from digitserve.server.admission import Admission
from digitserve.server.config import Config
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
from digitserve.server.versions.registry import Registry
from digitserve.server.versions.version import Version
from digitserve.server.versions.watch import Watch

if TYPE_CHECKING:
    from digitserve.server.guard.guarding import Guard
    from digitserve.server.guard.limits import Accounts


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


class Core:
    """A model server without doors.

    Attributes:
        config: how it runs.
        registry: its versions.
        watch: what keeps them as the folder says.
        guard: who may do what; None: anybody anything.
        admission: who is let in.
        observer: what watches the calls; None: nobody wants to know.
        services: what it answers, guarded and watched.
        health: what it says of itself.
        leaving: tells what is open that it drains, and counts what runs.
    """

    def __init__(
        self, config: Config, versions: Sequence[Version] | None = None, led: Led | None = None
    ) -> None:
        """Makes one that does nothing yet; inside a running event loop.

        Args:
            config: how it runs.
            versions: what it serves; None: what `config.models` holds, watched.
            led: what its supervisor keeps for it; None: it has none.

        Raises:
            GuardError: if what tells who may do what cannot be read, or is wrong.
            MissingExtra: if JWTs or traces are wanted, and what they take is not installed.
        """
        self.config = config
        self._versions = () if led else versions
        self.registry = led.registry if led else Registry()
        self.watch = Watch(config, self.registry)
        self._background: asyncio.Task[None] | None = None
        self.observer = observer_of(config)
        self.leaving = Drain()
        self.admission = Admission(config.max_queue_images, config.max_wait_s)
        models = model_service(config, self.registry, self.watch)
        if led is not None:
            models = led.relayed(models)
        services = (
            digit_service(config, self.registry, self.leaving, self.admission, self.observer),
            models,
        )
        adapters = adapters_of(
            Behind(
                config,
                self.registry,
                self.leaving,
                self.admission,
                self.observer,
                models,
                ready=lambda: self.health.ready,
            )
        )
        names = [service.name for service in services]
        self.health = Health([*names, *(adapter.name for adapter in adapters)])
        self.registry.on_stable = self.health.model
        neighbours = [self.health.service, *adapters]
        if config.reflection:
            neighbours.append(reflection_service([*services, *neighbours]))
        accounts = led.accounts if led else None
        self.guard, reached = _behind_guard(config, accounts, [*services, *neighbours])
        self.services = [observed(service, self.observer) for service in reached]

    async def open(self, *beside: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Makes the models ready, and then turns healthy.

        Args:
            beside: what else goes on until it is closed.

        Raises:
            BundleError: if a model cannot be served.
        """
        if self._versions is None:
            await self.watch.start()
        else:
            self.registry.publish(self._versions)
        self._background = asyncio.create_task(self._beside(beside))
        self.health.welcome(True)

    def check(self) -> None:
        """Raises what ended the work beside the calls, which nothing should."""
        if self._background is not None and self._background.done():
            self._background.result()

    async def close(self) -> None:
        """Lets go of everything; nothing is called any more."""
        if self._background is not None:
            self._background.cancel()
            await asyncio.wait({self._background})
        if self.observer is not None:
            await asyncio.to_thread(self.observer.close)
        self.registry.close()

    def snapshot(self) -> Snapshot:
        """What there is to tell at this moment, as plain data; to be called where it runs."""
        counted = [] if self.observer is None else self.observer.figures.snapshot()
        full = of_server(self.admission, ready=self.health.ready)
        return [*full, *counted, *of_registry(self.registry), *of_process()]

    @property
    def streams(self) -> Collection[Stream]:
        """The open streams."""
        return self.leaving.streams

    async def _beside(self, more: Sequence[Callable[[], Coroutine[Any, Any, None]]]) -> None:
        """What goes on beside the calls, until the end."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.registry.shadow.run())
            for each in more:
                tasks.create_task(each())
            if self._versions is None and self.config.watch_s:
                tasks.create_task(self.watch.run())
            if self.guard is not None:
                tasks.create_task(self.guard.watch())


def _behind_guard(
    config: Config, accounts: "Accounts | None", services: list[Service]
) -> tuple["Guard | None", list[Service]]:
    if not (config.tokens or config.jwks):
        return None, services
    # Who wants no guard need not wait for it to be read.
    from digitserve.server.guard.guarding import Guard, guarded  # noqa: PLC0415

    guard = Guard(config, accounts=accounts)
    return guard, [guarded(service, guard) for service in services]
