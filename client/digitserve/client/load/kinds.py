"""What is asked: unary calls, streams, or calls through a pipeline; with the async client."""

from asyncio import timeout_at
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any

from digitserve.client import AsyncDigitClient, Prediction
from digitserve.client.load.batches import Batch
from digitserve.client.load.loops import Ask, closed_loop, open_loop
from digitserve.client.load.record import Record
from digitserve.client.load.schedule import Arrivals, starts
from digitserve.client.load.streams import closed_streams, open_streams

# A stream whose server is gone gives up as soon as a call does, about.
_RESUME = 2.0
# Images in a call of `learn`.
_CHUNK = 100


class Kind(Enum):
    """How images travel: a call each, on streams, or coalesced by `client.pipeline()`."""

    UNARY = "unary"
    STREAM = "stream"
    PIPELINED = "pipelined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a server is put under.

    Attributes:
        kind: how images travel.
        concurrency: callers of a closed loop; for STREAM the streams, of either loop.
        rate: calls or frames a second of an open loop; None: closed loop.
        arrivals: how they come, in an open loop.
        seed: of the arrivals.
        max_in_flight: the bound of calls in flight in an open loop; for STREAM of the frames of
            each stream, in either loop.
        timeout: seconds that a call may take.
        version: the version that is asked.
        label: the label that is asked.
        brief: whether digit and confidence alone are asked for.
    """

    kind: Kind = Kind.UNARY
    concurrency: int = 1
    rate: float | None = None
    arrivals: Arrivals = Arrivals.POISSON
    seed: int = 1
    max_in_flight: int = 64
    timeout: float = 10.0
    version: int | None = None
    label: str | None = None
    brief: bool = False

    @property
    def model(self) -> dict[str, Any]:
        """What says which model is asked, and how much it is to say."""
        return {"version": self.version, "label": self.label, "brief": self.brief}


async def drive(
    load: Load, client: AsyncDigitClient, batches: Sequence[Batch], record: Record
) -> None:
    """Puts a server under the load until `record.end`, and waits for the last answers.

    Cancelling it ends the run at once; the record holds what there was, in any case.
    """
    try:
        match load.kind:
            case Kind.UNARY:
                timed = partial(client.predict_batch, timeout=load.timeout, **load.model)
                await _call(load, timed, batches, record)
            case Kind.STREAM:
                await _stream(load, client, batches, record)
            case Kind.PIPELINED:
                await _pipeline(load, client, batches, record)
    except TimeoutError:
        record.close("DEADLINE_EXCEEDED")
    finally:
        record.close("INTERRUPTED")


async def learn(load: Load, client: AsyncDigitClient, images: Sequence[bytes]) -> list[Prediction]:
    """Asks for every image once; gives the answers.

    Raises:
        CallError: if the server is not there, or refuses.
    """
    answers: list[Prediction] = []
    for first in range(0, len(images), _CHUNK):
        some = images[first : first + _CHUNK]
        answers += await client.predict_batch(some, timeout=load.timeout, **load.model)
    return answers


async def _call(load: Load, ask: Ask, batches: Sequence[Batch], record: Record) -> None:
    if load.rate is None:
        await closed_loop(ask, batches, load.concurrency, record)
    else:
        schedule = starts(load.rate, load.arrivals, load.seed)
        await open_loop(ask, batches, schedule, bound=load.max_in_flight, record=record)


async def _pipeline(load: Load, client: Any, batches: Sequence[Batch], record: Record) -> None:
    async with client.pipeline(**load.model) as pipeline:
        predict, timeout = pipeline.predict, load.timeout

        async def ask(image: memoryview) -> tuple[Prediction]:
            return (await predict(image, timeout=timeout),)

        await _call(load, ask, batches, record)


async def _stream(
    load: Load, client: AsyncDigitClient, batches: Sequence[Batch], record: Record
) -> None:
    opened = partial(client.stream, max_in_flight=load.max_in_flight, resume=_RESUME, **load.model)
    # A stream has no deadline of its own, and is not to wait for ever for its last answers.
    async with timeout_at(record.end + load.timeout):
        if load.rate is None:
            await closed_streams(opened, batches, load.concurrency, record)
        else:
            schedule = starts(load.rate, load.arrivals, load.seed)
            await open_streams(
                opened,
                batches,
                load.concurrency,
                schedule,
                bound=load.max_in_flight,
                record=record,
            )
