"""Streams by the thousand: open at once, and opened and cancelled at random points."""

import asyncio
import random
import time
from typing import Any

import grpc

from digitserve.v1 import digits_pb2, digits_pb2_grpc
from proving import expect
from support.command import Command, server_command, slow_server

IMAGE = bytes(784)


def thousand_streams(short: bool) -> str:
    """1,000 streams at once on one worker, a frame a second each."""
    seconds = 4 if short else 20
    with server_command() as command:
        asyncio.run(talk_all(command.address, 10, 1))  # what is made once is made before
        before = command.resident_bytes()
        answered, open_bytes = asyncio.run(
            talk_all(command.address, 1000, seconds, command.resident_bytes)
        )
    each = (open_bytes - before) / 1000
    bound = 64 * 1024  # docs/stream.md: an idle stream
    return expect(
        answered == 1000 * seconds,
        f"{answered} of {1000 * seconds} frames answered; {each / 1024:.0f} KiB a stream, "
        f"bound {bound // 1024} KiB",
        bounds=each < bound,
    )


async def talk_all(
    address: str, streams: int, seconds: int, resident: Any = lambda: 0
) -> tuple[int, int]:
    """Opens streams over 10 connections; each sends a frame a second and waits for its answer."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(address, options) for _ in range(10)]
    stubs: list[Any] = [digits_pb2_grpc.DigitServiceStub(channel) for channel in channels]
    message = digits_pb2.StreamPredictRequest(frame=digits_pb2.Frame(pixels=IMAGE))

    async def talk(at: int) -> int:
        call = stubs[at % 10].StreamPredict()
        await asyncio.sleep(at / streams)
        answered = 0
        for _ in range(seconds):
            begun = asyncio.get_running_loop().time()
            await call.write(message)
            answered += (await call.read()).HasField("predicted")
            await asyncio.sleep(max(0.0, begun + 1 - asyncio.get_running_loop().time()))
        most.append(resident()) if at == streams - 1 else None
        await call.done_writing()
        await call.read()
        return answered

    most: list[int] = []
    answered = sum(await asyncio.gather(*map(talk, range(streams))))
    for channel in channels:
        await channel.close()
    return answered, max(most)


def opened_and_cancelled(short: bool) -> str:
    """Streams opened and cancelled at random points leave nothing behind."""
    half = 2000 if short else 5000
    with slow_server() as command:
        tasks = command.told()["tasks"]
        descriptors, resident = [], []
        # What is made once, and what an allocator holds back, is there after the first three.
        for seed in range(5):
            asyncio.run(cancel_many(command.address, half, seed))
            settled(command, tasks)
            resident.append(command.resident_bytes())
            descriptors.append(command.descriptors())
        left = command.told()["tasks"] - tasks
    open_left = descriptors[-1] - descriptors[0]
    grown = resident[-1] / resident[-2] - 1
    return expect(
        left <= 0 and open_left <= 0,
        f"{5 * half} streams: {max(left, 0):.0f} tasks and "
        f"{max(open_left, 0)} descriptors left, memory {grown:+.1%} over the last {half}",
        bounds=grown < 0.02,
    )


def settled(command: Command, tasks: float) -> None:
    """Waits until the server has noticed that its callers are gone."""
    deadline = time.monotonic() + 10
    while command.told()["tasks"] > tasks and time.monotonic() < deadline:
        time.sleep(0.1)


async def cancel_many(address: str, streams: int, seed: int) -> None:
    """Opens streams, 50 at a time, and cancels each somewhere between its first and last word."""
    chance = random.Random(seed)  # noqa: S311 - not a secret
    message = digits_pb2.StreamPredictRequest(frame=digits_pb2.Frame(pixels=IMAGE))
    async with grpc.aio.insecure_channel(address) as channel:
        stub: Any = digits_pb2_grpc.DigitServiceStub(channel)

        async def one(frames: int, reads: int) -> None:
            call = stub.StreamPredict()
            for _ in range(frames):
                await call.write(message)
            for _ in range(min(frames, reads)):
                await call.read()
            call.cancel()

        for _ in range(streams // 50):
            points = [(chance.randrange(6), chance.randrange(6)) for _ in range(50)]
            await asyncio.gather(*(one(*point) for point in points))
