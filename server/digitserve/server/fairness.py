"""Who is next at an engine: whoever has had the least of it lately, counted in images.

Start-time fair queueing: each caller has a tag, the virtual time at which what it asks for would
end if all callers shared the engine evenly, and the smallest tag is next.  A lone image passes four
streams that each wait with a full turn; a flood only delays itself.
"""

import asyncio
import heapq
import time
from collections import Counter
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

# Callers that are remembered before those that are owed nothing are forgotten.
_MANY = 1024


class FairLock:
    """Held by so many callers at a time as there are places.

    Attributes:
        places: how many.
    """

    def __init__(self, places: int = 1) -> None:
        self.places = places
        self._free = places
        self._now = 0.0  # virtual time: the start of what is being served
        self._ends: dict[Hashable, float] = {}  # virtual time at which each caller's last one ends
        self._waiting: list[tuple[float, int, float, asyncio.Future[float]]] = []
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
        if self._free:
            return 0.0
        owed = max(0.0, self._ends.get(caller, 0.0) - self._now) + images
        callers = len(self._turns) + (caller not in self._turns)
        return self._running + min(self._queued, owed * callers - images)

    @asynccontextmanager
    async def turn(self, caller: Hashable, images: int) -> AsyncIterator[float]:
        """Waits for a turn of so many images, and holds it while the block runs.

        Gives the instant, by the monotonic clock, at which it came.
        """
        start = max(self._now, self._ends.get(caller, 0.0))
        end = self._ends[caller] = start + images
        if not self._free:
            came = await self._wait(caller, images, end, start)
        else:
            self._free -= 1
            self._now = max(self._now, start)
            came = time.monotonic()
        self._running += images
        try:
            yield came
        finally:
            self._running -= images
            self._pass_on()

    async def _wait(self, caller: Hashable, images: int, end: float, start: float) -> float:
        woken: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._arrivals += 1
        heapq.heappush(self._waiting, (end, self._arrivals, start, woken))
        self._queued += images
        self._turns[caller] += 1
        busy = self._busy
        try:
            return await woken
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
        while self._waiting:
            _, _, start, woken = heapq.heappop(self._waiting)
            if not woken.done():  # who was cancelled is not served
                self._now = max(self._now, start)
                woken.set_result(time.monotonic())
                self._forget()
                return
        # Nobody waits, so nobody is owed anything: a new busy period begins with the next caller.
        self._free += 1
        self._now = 0.0
        self._ends.clear()
        self._busy += 1

    def _forget(self) -> None:
        """Lets go of callers that are owed nothing, in a busy period that does not end."""
        if len(self._ends) > _MANY:
            self._ends = {who: end for who, end in self._ends.items() if end > self._now}
