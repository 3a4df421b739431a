"""Who is next at an engine: whoever has had the least of it lately, counted in images.

Start-time fair queueing: each caller has a tag, the virtual time at which what it asks for would
end if all callers shared the engine evenly, and the smallest tag is next.  A lone image passes four
streams that each wait with a full turn; a flood only delays itself.
"""

import asyncio
import heapq
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

# Callers that are remembered before those that are owed nothing are forgotten.
_MANY = 1024


class FairLock:
    """Held by so many callers at a time as there are places."""

    def __init__(self, places: int = 1) -> None:
        self._free = places
        self._now = 0.0  # virtual time: the start of what is being served
        self._ends: dict[Hashable, float] = {}  # virtual time at which each caller's last one ends
        self._waiting: list[tuple[float, int, float, asyncio.Future[None]]] = []
        self._arrivals = 0

    @property
    def remembered(self) -> int:
        """How many callers it knows."""
        return len(self._ends)

    @asynccontextmanager
    async def turn(self, caller: Hashable, images: int) -> AsyncIterator[None]:
        """Waits for a turn of so many images, and holds it while the block runs."""
        start = max(self._now, self._ends.get(caller, 0.0))
        end = self._ends[caller] = start + images
        if not self._free:
            await self._wait(end, start)
        else:
            self._free -= 1
            self._now = max(self._now, start)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, end: float, start: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._arrivals += 1
        heapq.heappush(self._waiting, (end, self._arrivals, start, woken))
        try:
            await woken
        except asyncio.CancelledError:
            if woken.done() and not woken.cancelled():
                self._pass_on()  # it had come to us already
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            _, _, start, woken = heapq.heappop(self._waiting)
            if not woken.done():  # who was cancelled is not served
                self._now = max(self._now, start)
                woken.set_result(None)
                self._forget()
                return
        # Nobody waits, so nobody is owed anything: a new busy period begins with the next caller.
        self._free += 1
        self._now = 0.0
        self._ends.clear()

    def _forget(self) -> None:
        """Lets go of callers that are owed nothing, in a busy period that does not end."""
        if len(self._ends) > _MANY:
            self._ends = {who: end for who, end in self._ends.items() if end > self._now}
