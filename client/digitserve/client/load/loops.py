"""The two ways to ask calls of a server: closed loop and open loop.

Closed: each of N callers sends its next call when the last one is answered, so a slow server is
asked less.  Open: calls start by a schedule whatever the server does, and a call's time is counted
from its *intended* start, so a server (or a generator) that stalls shows in every call that the
stall held up, not only in the one that met it (the correction for coordinated omission).

Both know only something to await and a `Record`: any client can be put under them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from itertools import cycle
from typing import TypeAlias

from digitserve.client.load.batches import Batch
from digitserve.client.load.record import CALL_ERRORS, Record
from digitserve.client.types import Prediction

#: Sends a batch and gives the answers, one for each image.
Ask: TypeAlias = Callable[[memoryview], Awaitable[Sequence[Prediction]]]

# Calls that a late schedule starts at once before it lets the others run.
_BURST = 32


async def closed_loop(ask: Ask, batches: Sequence[Batch], callers: int, record: Record) -> None:
    """Keeps `callers` calls in flight until `record.end`, and waits for the last answers."""
    each = cycle(batches)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(callers):
            tasks.create_task(_caller(ask, each, record))


async def _caller(ask: Ask, batches: Iterator[Batch], record: Record) -> None:
    clock = asyncio.get_running_loop().time
    now = clock()
    for batch in batches:
        if now >= record.end:
            return
        record.sent += 1
        start = now
        try:
            predictions = await ask(batch.images)
        except CALL_ERRORS as error:
            record.fail(error)
            now = clock()
        else:
            now = clock()
            record.answer(batch, predictions, now - start)


async def open_loop(
    ask: Ask, batches: Sequence[Batch], starts: Iterable[float], *, bound: int, record: Record
) -> None:
    """Starts calls as scheduled until `record.end`, and waits for the last answers.

    Args:
        ask: what is called.
        batches: what is sent, over and over.
        starts: the intended starts, in seconds from now.
        bound: calls that may be in flight; what exceeds it is not sent, and counted.
        record: where it is entered.
    """
    clock = asyncio.get_running_loop().time
    each = cycle(batches)
    in_flight = 0

    async def call(intended: float, batch: Batch) -> None:
        nonlocal in_flight
        try:
            predictions = await ask(batch.images)
        except CALL_ERRORS as error:
            record.fail(error)
        else:
            record.answer(batch, predictions, clock() - intended)
        finally:
            in_flight -= 1

    async with asyncio.TaskGroup() as tasks:

        def send(intended: float) -> bool:
            nonlocal in_flight
            if in_flight >= bound:
                return False
            in_flight += 1
            tasks.create_task(call(intended, next(each)))
            return True

        await keep_schedule(starts, send, record)


async def keep_schedule(
    starts: Iterable[float], send: Callable[[float], bool], record: Record
) -> None:
    """Calls `send(intended start)` at each start, until `record.end`; False: there was no room."""
    clock = asyncio.get_running_loop().time
    begin, last = clock(), record.end
    overdue = 0
    for offset in starts:
        intended = begin + offset
        if intended >= last:
            return
        wait = intended - clock()
        overdue = 0 if wait > 0 else overdue + 1
        if wait > 0 or overdue % _BURST == 0:
            await asyncio.sleep(max(wait, 0))
        now = clock()
        if record.gone is not None:
            return
        # Past the end there is nothing left to keep up with.
        if now < last and send(intended):
            record.sent += 1
            record.late.add(now - intended)
        else:
            record.not_sent += 1
