"""The supervisor: holds the ports, decides on versions, and has all workers follow.

    hold ─▶ begin N workers ─▶ all prepare the versions ─▶ all follow the decision ─▶ all listen

It serves no calls.  What a caller asks of ModelService at any worker is done here, and answered
when every worker follows.
"""

import asyncio
import base64
import logging
import socket
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, cast

from digitserve.server.addresses import holding
from digitserve.server.app import metrics_at
from digitserve.server.config import Config
from digitserve.server.guard.guarding import Guard
from digitserve.server.guard.tls import tls_of
from digitserve.server.observe.family import Snapshot
from digitserve.server.observe.standing import of_process, of_registry
from digitserve.server.services.models import model_service
from digitserve.server.statuses import first_cause
from digitserve.server.versions.watch import Watch
from digitserve.server.workers.channel import ChannelClosed
from digitserve.server.workers.crew import Crew
from digitserve.server.workers.deciding import Deciding, StandIn
from digitserve.server.workers.follower import DECIDED, Decision
from digitserve.server.workers.hand import Hand
from digitserve.server.workers.preparing import Preparing
from digitserve.server.workers.question import SharedQuestion
from digitserve.server.workers.shared import Table

_log = logging.getLogger(__name__)

# Seconds to load what all serve: a `.keras` file has its bundle by then.
_JOIN_S = 300.0
# Seconds to tell figures; who does not is left out, and not ended for it.
_FIGURES_S = 2.0
_SCRAPE_S = 5.0


class Supervisor:
    """Several workers on the same ports, from their start to the end of their drain.

    Attributes:
        registry: the versions that all of them serve.
        watch: what keeps them as the folder says.
    """

    def __init__(self, config: Config) -> None:
        """Takes the ports, and does nothing yet; inside a running event loop.

        Raises:
            AddressError: if an address cannot be had.
            GuardError: if what tells who may do what cannot be read, or is wrong.
            MissingExtra: if JWTs are wanted, and what they take is not installed.
        """
        guarded = bool(config.tokens or config.jwks)
        if guarded:
            Guard(config)  # what is wrong is said here, once
        tls_of(config)
        self._held: list[socket.socket] = []
        self._config = config = self._hold(config)
        self._table = Table.made() if guarded else None
        self._crew = Crew(config, self._table, self._handle, self._join)
        self._preparing = Preparing(self._crew.whole)
        self._changed, self._decided = asyncio.Event(), asyncio.Event()
        self.registry = Deciding(self._changed.set)
        self.watch = Watch(config, self.registry, self._preparing.load)
        self._control = model_service(config, self.registry, self.watch).methods
        self._telling = asyncio.Lock()
        self._followed: Decision | None = None
        # Any caller may have these asked: who asks at the same time has the same answer.
        self._figures = SharedQuestion(lambda: self._asked("figures"))
        self._sums = SharedQuestion(self._summed)
        self._shadows: dict[int, dict[int, tuple[int, int]]] = {}
        self._background: asyncio.Task[None] | None = None
        self._stop_metrics = lambda: None

    async def start(self) -> tuple[str, ...]:
        """Has all workers serve.

        Returns:
            The addresses, with the ports that were taken.

        Raises:
            AddressError: if the one for metrics cannot be had.
            MissingExtra: if metrics are wanted, and what tells them is not installed.
            BundleError: if a model cannot be served.
            WorkerError: if a worker cannot be kept alive.
        """
        try:
            if self._config.metrics is not None:
                loop = asyncio.get_running_loop()
                self._stop_metrics = metrics_at(
                    self._config.metrics,
                    lambda: asyncio.run_coroutine_threadsafe(self._told(), loop).result(_SCRAPE_S),
                )
            self._background = asyncio.create_task(self._beside())
            await self._unless_failed(self._decide())
        except BaseException:
            await self.stop()
            raise
        return self._config.addresses

    async def drain(self, lame_duck_s: float) -> bool:
        """Has all workers finish what they accepted, and stops.

        Args:
            lame_duck_s: seconds in which new unary calls are still served.

        Returns:
            Whether everything that was open ended by itself, in all of them.
        """
        clean = await self._crew.drain(lame_duck_s)
        await self._close()
        return clean

    async def stop(self) -> None:
        """Stops all workers at once; what is open is cut."""
        await self._crew.stop()
        await self._close()

    async def failed(self) -> None:
        """Ends, by an exception, when a worker cannot be kept alive.

        Raises:
            WorkerError: saying which.
        """
        assert self._background is not None
        await asyncio.wait({self._background})
        if not self._background.cancelled() and (error := self._background.exception()):
            raise first_cause(error)

    async def figures(self) -> dict[int, Snapshot]:
        """What each worker that serves tells of itself, by its place."""
        return {hand.place: told for hand, told in await self._figures.answer()}

    # --- start and end -------------------------------------------------------------------------

    def _hold(self, config: Config) -> Config:
        """Takes the ports, so that no other server does, and listens at none."""
        try:
            addresses = tuple(self._held_name(each) for each in config.addresses)
            http = None if config.http is None else self._held_name(config.http)
        except BaseException:
            self._let_go()
            raise
        return replace(config, addresses=addresses, http=http)

    def _held_name(self, address: str) -> str:
        name, held = holding(address)
        self._held += held
        return name

    def _let_go(self) -> None:
        for each in self._held:
            each.close()

    async def _decide(self) -> None:
        await self.watch.start()
        self._decided.set()
        await self._crew.all_serving()

    async def _beside(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._crew.keep())
            await self._decided.wait()
            tasks.create_task(self._publish())
            if self._config.watch_s:
                tasks.create_task(self.watch.run())

    async def _unless_failed(self, doing: Coroutine[Any, Any, None]) -> None:
        """Waits for something, and no longer when a worker cannot be kept alive."""
        done, failed = asyncio.ensure_future(doing), asyncio.ensure_future(self.failed())
        try:
            await asyncio.wait({done, failed}, return_when=asyncio.FIRST_COMPLETED)
            await (failed if failed.done() else done)
        finally:
            done.cancel()
            failed.cancel()

    async def _close(self) -> None:
        if self._background is not None:
            self._background.cancel()
            await asyncio.wait({self._background})
        await asyncio.to_thread(self._stop_metrics)
        self._let_go()
        self.registry.close()

    # --- what the workers follow ---------------------------------------------------------------

    def _decision(self) -> Decision:
        return self.registry.decision(self._preparing.serials)

    async def _join(self, hand: Hand) -> None:
        """Has a worker follow what holds, and then listen."""
        await self._decided.wait()
        while True:
            decision = self._decision()
            await hand.order("follow", {"decision": decision}, _JOIN_S)
            if decision == self._decision():
                break
        hand.serves()  # no decision passes it from here on
        await hand.order("serve", {})

    async def _publish(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._tell()

    async def _tell(self) -> None:
        """Has all workers follow what holds now; ends one that does not."""
        async with self._telling:
            decision = self._decision()
            if decision == self._followed:
                return
            await asyncio.gather(*(_follow(hand, decision) for hand in self._crew.serving))
            self._followed = decision

    # --- what the workers ask ------------------------------------------------------------------

    async def _handle(self, what: str, told: dict[str, Any]) -> Any:
        match what:
            case "control":
                return await self._controlled(told["method"], told["request"])
            case "broke":
                self.registry.broke(told["serial"], str(told["why"]))
                await self._tell()
                return None
        raise ValueError(what)

    async def _controlled(self, name: str, request: str) -> str:
        """Does what a caller asked of ModelService, and answers when all follow."""
        method = self._control[name]
        assert method.unary is not None
        if name == "ListVersions":
            await self._sums.answer()
        nobody = cast("Any", None)  # these handlers do not ask who calls: the worker did
        message = method.request.FromString(base64.b85decode(request))
        said = await method.unary(message, nobody)
        await self._tell()
        data = said if isinstance(said, bytes) else said.SerializeToString()
        return base64.b85encode(data).decode()

    # --- figures -------------------------------------------------------------------------------

    async def _asked(self, what: str) -> list[tuple[Hand, Any]]:
        """Asks all workers that serve; leaves out who does not answer."""
        hands = self._crew.serving
        asked = (each.ask(what, {}, _FIGURES_S) for each in hands)
        heard = await asyncio.gather(*asked, return_exceptions=True)
        return [
            (hand, told)
            for hand, told in zip(hands, heard, strict=True)
            if not isinstance(told, BaseException)
        ]

    async def _summed(self) -> None:
        for hand, told in await self._asked("sums"):
            self._sum(hand, told)

    def _sum(self, hand: Hand, told: dict[str, Any]) -> None:
        """Adds what a worker tells to what the others, and those that are gone, told."""
        images = dict(told["images"])
        for entry in self.registry.known.values():
            version = entry.version
            if isinstance(version, StandIn) and version.serial in images:
                version.count(hand.serial, images[version.serial])
        for number, asked, agreed in told["shadows"]:
            each = self._shadows.setdefault(number, {})
            each[hand.serial] = asked, agreed
            sums = map(sum, zip(*each.values(), strict=True))
            self.registry.shadow.tallies[number] = next(sums), next(sums)

    async def _told(self) -> list[tuple[str | None, Snapshot]]:
        figures = await self.figures()
        own = [each for each in of_registry(self.registry) if each["name"] in DECIDED]
        told: list[tuple[str | None, Snapshot]] = [("supervisor", [*own, *of_process()])]
        return told + [(str(place), snapshot) for place, snapshot in figures.items()]


async def _follow(hand: Hand, decision: Decision) -> None:
    try:
        await hand.order("follow", {"decision": decision})
    except ChannelClosed:
        return  # it is replaced
    except Exception as error:
        _log.error("worker %d does not follow: %s", hand.place, error)
        hand.kill()
