"""Callers who ask again as soon as they are answered.  Standard library only: any environment."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable


async def closed_loop(ask: Callable[[int], Awaitable[None]], callers: int, seconds: float) -> float:
    """Lets `callers` ask for `seconds`; `ask` gets the number of the call.

    Returns:
        Answers a second, of those that came within the time.
    """
    numbers = itertools.count()
    answered = 0
    begun = time.perf_counter()
    end = begun + seconds

    async def caller() -> None:
        nonlocal answered
        while time.perf_counter() < end:
            await ask(next(numbers))
            answered += 1

    await asyncio.gather(*(caller() for _ in range(callers)))
    return answered / (time.perf_counter() - begun)
