"""The workers, each in its place: begun, kept, replaced, drained.

    begin ─▶ join ─▶ serving ─▶ gone ─▶ (a while, if it was gone before) ─▶ begin …

A place whose workers die again and again before they serve is given up, and with it all of them:
whoever watches over the supervisor is to know.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from digitserve.server.config import Config
from digitserve.server.workers import WorkerError
from digitserve.server.workers.channel import ChannelClosed, Handle
from digitserve.server.workers.faults import Unforeseen
from digitserve.server.workers.hand import Hand
from digitserve.server.workers.plain import plain_config
from digitserve.server.workers.shared import Table

_log = logging.getLogger(__name__)

# Deaths in a row before a worker serves, after which its place is given up.
_TRIES = 5
# Seconds before another takes the place of one that did not serve for long; doubled each time.
_BACK_OFF_S = 0.1
_LONGEST_BACK_OFF_S = 5.0
_STEADY_S = 10.0
# Seconds beyond lame duck and grace for a drain to be told of.
_LAST_WORDS_S = 5.0


class Crew:
    """The workers of one supervisor."""

    def __init__(
        self,
        config: Config,
        table: Table | None,
        handle: Handle,
        join: Callable[[Hand], Awaitable[None]],
    ) -> None:
        """Has nobody yet.

        Args:
            config: how they run.
            table: what callers have asked for.
            handle: answers what they ask.
            join: has one serve what the others do.
        """
        self._hands: dict[int, Hand] = {}
        self._config, self._table = config, table
        self._handle, self._join = handle, join
        self._serials = 0
        self._ending = False
        self._news = asyncio.Condition()

    @property
    def able(self) -> list[Hand]:
        """Those that can load a version."""
        return [hand for hand in self._hands.values() if hand.begun and not hand.gone]

    @property
    def serving(self) -> list[Hand]:
        """Those that listen."""
        return [hand for hand in self._hands.values() if hand.serving and not hand.gone]

    async def keep(self) -> None:
        """Keeps a worker in each place, for as long as it is not cancelled.

        Raises:
            WorkerError: in a group, if a place is given up; the others live on.
        """
        async with asyncio.TaskGroup() as tasks:
            for place in range(self._config.workers):
                tasks.create_task(self._keep(place))

    async def whole(self) -> Sequence[Hand]:
        """Waits until there is one in each place, and if any serves, all do."""
        every = self._config.workers
        return await self._wait(lambda: len(self.able) == every and len(self.serving) in {0, every})

    async def all_serving(self) -> None:
        """Waits until one serves in each place."""
        await self._wait(lambda: len(self.serving) == self._config.workers)

    async def drain(self, lame_duck_s: float) -> bool:
        """Has them finish what they accepted; returns whether all of it ended by itself."""
        self._ending = True
        within_s = lame_duck_s + self._config.grace_s + _LAST_WORDS_S
        hands = list(self._hands.values())
        return all(await asyncio.gather(*(_drained(each, lame_duck_s, within_s) for each in hands)))

    async def stop(self) -> None:
        """Ends them at once."""
        self._ending = True
        hands = list(self._hands.values())
        for hand in hands:
            hand.kill()
        await asyncio.gather(*(hand.bury() for hand in hands))

    # -------------------------------------------------------------------------------------------

    async def _wait(self, there: Callable[[], bool]) -> Sequence[Hand]:
        async with self._news:
            await self._news.wait_for(there)
        return self.able

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def _keep(self, place: int) -> None:
        early = short = 0
        while not self._ending:
            self._serials += 1
            hand = self._hands[place] = Hand(place, self._serials)
            why = await self._live(hand)
            if self._ending:
                return  # whoever ends it looks how
            hand.kill()
            code = await hand.bury()
            del self._hands[place]
            if self._table is not None:
                self._table.forget(place)
            why = why or (f": signal {-code}" if code < 0 else f": exit code {code}")
            early = 0 if hand.serving else early + 1
            short = 0 if hand.served_s >= _STEADY_S else short + 1
            _log.warning("worker %d is gone%s", place, why)
            if early >= _TRIES:
                raise WorkerError(
                    f"worker {place} cannot be kept alive: gone {early} times before it served{why}"
                )
            if short > 1:
                await asyncio.sleep(min(_BACK_OFF_S * 2 ** (short - 2), _LONGEST_BACK_OFF_S))

    async def _live(self, hand: Hand) -> str:
        """The life of a worker; returns why it could not serve, if it said so."""
        try:
            table = None if self._table is None else self._table.descriptor
            await hand.begin(self._handle, plain_config(self._config), table)
            await self._tell()
            await self._join(hand)
            await self._tell()
            await hand.end()
        except ChannelClosed:
            return ""
        except Unforeseen:
            return ": the log says why"
        except Exception as error:  # it could not load, or not listen
            return f": {error}"
        return ""


async def _drained(hand: Hand, lame_duck_s: float, within_s: float) -> bool:
    """Whether a worker ended well; one that never served has nothing to end."""
    if not hand.serving:
        hand.kill()
        await hand.bury()
        return True
    try:
        clean = await hand.order("drain", {"lame_duck_s": lame_duck_s}, within_s)
    except Exception:  # gone, silent or broken: whatever it was, that is no clean end
        clean = False
    return await hand.bury() == 0 and clean is True
