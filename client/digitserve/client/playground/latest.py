"""What keeps a connection from piling up: the newest thing alone, and a pace."""

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class Latest(Generic[T]):
    """Holds one thing until somebody takes it; a newer one takes its place."""

    def __init__(self) -> None:
        self._held: T | None = None
        self._there = asyncio.Event()

    def put(self, thing: T) -> T | None:
        """Lays it down; gives back what nobody took."""
        left, self._held = self._held, thing
        self._there.set()
        return left

    async def take(self) -> T:
        """Waits until there is one."""
        while self._held is None:
            self._there.clear()
            await self._there.wait()
        thing, self._held = self._held, None
        return thing


class Pace:
    """Lets `rate` a second through on average, and `burst` at once."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate, self._burst = rate, burst
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time()  # when the next would be, were each on time

    async def turn(self) -> None:
        """Waits for one's turn."""
        now = self._loop.time()
        self._due = max(self._due, now - self._burst / self._rate) + 1 / self._rate
        if self._due > now:
            await asyncio.sleep(self._due - now)
