"""What a Python process pays as a client: 64 callers by themselves, or through `client.pipeline()`.

The pipeline compares many images a message with one: that is what it is for.
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

from digitserve.client import AsyncDigitClient, DigitClient, Prediction
from digitserve.client.load import Kind, Load, Record, batches_of, drive

CALLERS = 64


async def async_rate(address: str, pictures: list[bytes], kind: str, seconds: float) -> float:
    """Predictions a second of one event loop, checked against the first answers."""
    async with AsyncDigitClient(address) as client, client.pipeline() as pipeline:
        predict = pipeline.predict if kind == "ours" else client.predict
        right = [await client.predict(each) for each in pictures]
        end = time.perf_counter() + seconds

        async def caller(at: int) -> int:
            return await _asked(predict, pictures, right, at, end)

        begun = time.perf_counter()
        counts = await asyncio.gather(*map(caller, range(CALLERS)))
        return sum(counts) / (time.perf_counter() - begun)


async def _asked(
    predict: Callable[[bytes], Awaitable[Prediction]],
    pictures: list[bytes],
    right: list[Prediction],
    at: int,
    end: float,
) -> int:
    answered = 0
    while time.perf_counter() < end:
        at = (at + 1) % len(pictures)
        if await predict(pictures[at]) != right[at]:
            raise SystemExit(f"benchmarks: image {at} was answered wrong")
        answered += 1
    return answered


def thread_rate(address: str, pictures: list[bytes], kind: str, seconds: float) -> float:
    """The same of 64 threads."""
    with DigitClient(address) as client, client.pipeline() as pipeline:
        predict = pipeline.predict if kind == "ours" else client.predict
        right = [client.predict(each) for each in pictures]
        counts = [0] * CALLERS
        wrong: list[int] = []
        begun = time.perf_counter()
        end = begun + seconds

        def caller(number: int) -> None:
            at = number
            while time.perf_counter() < end:
                at = (at + 1) % len(pictures)
                if predict(pictures[at]) != right[at]:
                    wrong.append(at)
                counts[number] += 1

        threads = [threading.Thread(target=caller, args=(at,)) for at in range(CALLERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if wrong:
            raise SystemExit(f"benchmarks: image {wrong[0]} was answered wrong")
        return sum(counts) / (time.perf_counter() - begun)


async def p99_us(
    address: str, pictures: list[bytes], kind: str, rate: float, seconds: float
) -> float:
    """The 99th percentile at a set rate of calls (open loop, Poisson), in microseconds."""
    how = Kind.PIPELINED if kind == "ours" else Kind.UNARY
    load = Load(kind=how, rate=rate, max_in_flight=CALLERS * 8)
    async with AsyncDigitClient(address) as client:
        await client.predict(pictures[0])
        record = Record(asyncio.get_running_loop().time() + seconds)
        await drive(load, client, batches_of(pictures, 1), record)
    if record.failed or record.not_sent > record.sent / 100:
        raise SystemExit(f"benchmarks: {record.failed} failed, {record.not_sent} not sent")
    return (record.latency.quantile(0.99) or 0.0) * 1e6


async def median_us(address: str, pictures: list[bytes], seconds: float) -> float:
    """The median of one caller's calls, through the client library, in microseconds."""
    async with AsyncDigitClient(address) as client:
        await client.predict(pictures[0])
        record = Record(asyncio.get_running_loop().time() + seconds)
        await drive(Load(concurrency=1), client, batches_of(pictures, 1), record)
    return (record.latency.quantile(0.5) or 0.0) * 1e6
