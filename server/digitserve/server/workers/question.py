"""A question that many may have at once, and that is asked once for all of them.

    who comes ──▶ waits with the others ──▶ is asked, when the one before is over ──▶ one answer

So however many callers there are, one is under way and one waits; and no answer is older than the
question of whoever gets it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class SharedQuestion(Generic[Answer]):
    """One question."""

    def __init__(self, ask: Callable[[], Awaitable[Answer]]) -> None:
        """Asks by `ask`."""
        self._ask = ask
        self._turn = asyncio.Lock()
        self._waiting: asyncio.Future[Answer] | None = None

    async def answer(self) -> Answer:
        """The answer to it, asked from now on."""
        if self._waiting is None:
            self._waiting = asyncio.ensure_future(self._asked())
        return await asyncio.shield(self._waiting)  # others wait for it, if this one goes

    async def _asked(self) -> Answer:
        async with self._turn:
            self._waiting = None  # who comes from here on is not to have an answer begun before
            return await self._ask()
