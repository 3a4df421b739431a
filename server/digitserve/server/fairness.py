"""Who is next at an engine: whoever has had the least of it lately, counted in images.

Start-time fair queueing: each caller has a tag, the virtual time at which what it asks for would
end if all callers shared the engine evenly, and the smallest tag is next.  A lone image passes four
streams that each wait with a full turn; a flood only delays itself.
"""

import asyncio
import heapq
from collections import Counter
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

# Callers that are remembered before those that are owed nothing are forgotten.
_MANY = 1024


class FairLock:
    """Held by so many callers at a time as there are places, and by as many again for short turns.

    Those are ready when a place is free: else each would wait until the loop has come round, which
    is longer than the turn itself when there is much to refuse.

    Attributes:
        places: how many.
    """

    def __init__(self, places: int = 1, short: int = 0) -> None:
        """Makes one with so many places; a turn of at most `short` images is short."""
        self.places = places
        self._short = short
        self._held = 0
        self._now = 0.0  # virtual time: the start of what is being served
        self._ends: dict[Hashable, float] = {}  # virtual time at which each caller's last one ends
        self._waiting: list[tuple[float, int, float, int, asyncio.Future[None]]] = []
        self._arrivals = 0
        self._running = self._queued = 0  # images
        self._turns: Counter[Hashable] = Counter()  # that each caller waits for
        self._busy = 0  # the number of this busy period

    @property
    def remembered(self) -> int:
        """How many callers it knows."""
        return len(self._ends)

    def ahead(self, caller: Hashable, images: int) -> float:
        """How many images go before a turn that `caller` asked for now; about.

        What it waits for itself does, and as much of each other caller's; not more than there is.
        """
        if self._held < self.places:
            return 0.0
        owed = max(0.0, self._ends.get(caller, 0.0) - self._now) + images
        callers = len(self._turns) + (caller not in self._turns)
        return self._running + min(self._queued, owed * callers - images)

    @asynccontextmanager
    async def turn(self, caller: Hashable, images: int) -> AsyncIterator[None]:
        """Waits for a turn of so many images, and holds it while the block runs."""
        start = max(self._now, self._ends.get(caller, 0.0))
        end = self._ends[caller] = start + images
        if self._queued or not self._may_go(images):
            await self._wait(caller, images, end, start)
        else:
            self._held += 1
            self._now = max(self._now, start)
        self._running += images
        try:
            yield
        finally:
            self._running -= images
            self._pass_on()

    def _may_go(self, images: int) -> bool:
        places = 2 * self.places if images <= self._short else self.places
        return self._held < places

    async def _wait(self, caller: Hashable, images: int, end: float, start: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._arrivals += 1
        heapq.heappush(self._waiting, (end, self._arrivals, start, images, woken))
        self._queued += images
        self._turns[caller] += 1
        busy = self._busy
        try:
            await woken
        except asyncio.CancelledError:
            if self._busy == busy and caller in self._ends:
                self._ends[caller] -= images  # it is not charged for what it did not get
            if woken.done() and not woken.cancelled():
                self._pass_on()  # it had come to us already
            raise
        finally:
            self._queued -= images
            self._turns[caller] -= 1
            if not self._turns[caller]:
                del self._turns[caller]

    def _pass_on(self) -> None:
        self._held -= 1
        while self._waiting:
            _, _, start, images, woken = self._waiting[0]
            if woken.done():  # who was cancelled is not served
                heapq.heappop(self._waiting)
            elif self._may_go(images):
                heapq.heappop(self._waiting)
                self._held += 1
                self._now = max(self._now, start)
                woken.set_result(None)
                self._forget()
            else:
                return
        if not self._held:
            # Nobody is owed anything: a new busy period begins with the next caller.
            self._now = 0.0
            self._ends.clear()
            self._busy += 1

    def _forget(self) -> None:
        """Lets go of callers that are owed nothing, in a busy period that does not end."""
        if len(self._ends) > _MANY:
            self._ends = {who: end for who, end in self._ends.items() if end > self._now}
