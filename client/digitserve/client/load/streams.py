"""The same two loops for streams: what is sent is a frame, and its answer comes in its turn.

Closed: the client's window is kept full, `max_in_flight` frames on each stream.  Open: the frames
of one schedule go round the streams, as from so many cameras.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from itertools import cycle
from typing import TypeAlias

from digitserve.client import AsyncStream, Failed, Predicted
from digitserve.client.load.batches import Batch
from digitserve.client.load.loops import keep_schedule
from digitserve.client.load.record import CALL_ERRORS, Record

#: Opens a stream over frames, with delivery ORDERED.
Open: TypeAlias = Callable[[AsyncIterator[object] | Iterator[object]], AsyncStream]


class _Lane:
    """One stream: its frames without an outcome, in the order in which outcomes come."""

    def __init__(self, record: Record) -> None:
        self.unanswered: deque[tuple[float, Batch]] = deque()
        self.over = False
        self._record = record
        self._clock = asyncio.get_running_loop().time
        self._given: asyncio.Queue[Batch | None] = asyncio.Queue()

    def full(self, batches: Iterator[Batch]) -> Iterator[object]:
        """Frames whenever the stream takes one."""
        for batch in batches:
            start = self._clock()
            if start >= self._record.end:
                return
            self._record.sent += 1
            self.unanswered.append((start, batch))
            yield batch.images

    def give(self, intended: float, batch: Batch) -> None:
        """Has a frame sent by `given`."""
        self.unanswered.append((intended, batch))
        self._given.put_nowait(batch)

    def finish(self) -> None:
        """No more frames come."""
        self._given.put_nowait(None)

    async def given(self) -> AsyncIterator[object]:
        """Frames as they are given."""
        while (batch := await self._given.get()) is not None:
            yield batch.images

    async def run(self, stream: AsyncStream) -> None:
        """Enters the outcomes until the stream ends."""
        record = self._record
        try:
            async with stream:
                async for outcome in stream:
                    start, batch = self.unanswered.popleft()
                    if isinstance(outcome, Predicted):
                        record.answer(batch, outcome.predictions, self._clock() - start)
                        record.wait.add(outcome.wait)
                        record.model.add(outcome.model)
                    elif isinstance(outcome, Failed):
                        record.fail(outcome.error)
        except CALL_ERRORS as error:
            record.fail(error, len(self.unanswered))
        finally:
            self.over = True


async def closed_streams(
    open_stream: Open, batches: Sequence[Batch], streams: int, record: Record
) -> None:
    """Keeps the windows of `streams` streams full until `record.end`; waits for the outcomes."""
    each = cycle(batches)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(streams):
            lane = _Lane(record)
            tasks.create_task(lane.run(open_stream(lane.full(each))))


async def open_streams(
    open_stream: Open,
    batches: Sequence[Batch],
    streams: int,
    starts: Iterable[float],
    *,
    bound: int,
    record: Record,
) -> None:
    """Sends frames as scheduled, on one stream after the other; waits for the outcomes.

    Args:
        open_stream: opens each of the streams.
        batches: what is sent, over and over.
        streams: how many share the schedule.
        starts: the intended starts, in seconds from now.
        bound: frames of one stream that may be in flight; what exceeds it is not sent, and counted.
        record: where it is entered.
    """
    each = cycle(batches)
    lanes = [_Lane(record) for _ in range(streams)]
    turns = cycle(lanes)

    def send(intended: float) -> bool:
        lane = next(turns)
        if lane.over or len(lane.unanswered) >= bound:
            return False
        lane.give(intended, next(each))
        return True

    async with asyncio.TaskGroup() as tasks:
        for lane in lanes:
            tasks.create_task(lane.run(open_stream(lane.given())))
        await keep_schedule(starts, send, record)
        for lane in lanes:
            lane.finish()
