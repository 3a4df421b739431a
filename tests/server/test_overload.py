"""One caller's flood, idleness or bad luck is his own: the others are answered, nothing leaks."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt
import pytest

from digitserve.server.engines import Answer, Engine
from digitserve.v1 import digits_pb2, digits_pb2_grpc
from support.engines import BrokenEngine, HeldEngine, InkEngine, image_of
from support.serving import TEST_CONFIG, Serving, serving, versions_of
from support.talk import BLANK, frame

_QUEUE = 4096
_CONFIG = replace(TEST_CONFIG, max_images=_QUEUE, max_queue_images=_QUEUE, max_wait_s=600.0)
_PREDICT = "/digitserve.v1.DigitService/Predict"
_STREAM_PREDICT = "/digitserve.v1.DigitService/StreamPredict"


class OrderedEngine(HeldEngine):
    """Remembers the digits that it was asked, in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    def predict(self, images: npt.NDArray[np.uint8]) -> Answer:
        answer = super().predict(images)
        self.asked += images[:, 0, 0].tolist()
        return answer


def predicted(up: Serving, pixels: bytes = BLANK) -> int:
    """The digit that a caller with a connection of his own gets."""
    with up.digits() as stub:
        request = digits_pb2.PredictRequest(pixels=pixels, count=len(pixels) // 784)
        response = stub.Predict(request, timeout=60, wait_for_ready=True)
    digit: int = response.predictions[0].digit
    return digit


def until(done: Callable[[], bool]) -> None:
    """Waits for what will certainly come."""
    give_up = time.monotonic() + 60
    while not done():
        assert time.monotonic() < give_up


@contextmanager
def leaving_nothing(engine: Engine, *, inline: bool) -> Iterator[Serving]:
    """A server that has, after the block, no more tasks and images in it than before."""
    with serving(_CONFIG, versions_of(engine, inline=inline)) as up:
        if isinstance(engine, HeldEngine):
            engine.go.set()
        predicted(up)  # gRPC starts its own helpers at the first call
        if isinstance(engine, HeldEngine):
            engine.go.clear()
            engine.entered.clear()
        before = up.tasks()
        yield up
        until(lambda: up.tasks() <= before and not up.server.streams)
        assert predicted(up, bytes(784 * _QUEUE)) == 0  # fits if no other image is in


def asking(scenario: Callable[[Any], Awaitable[None]], up: Serving) -> None:
    """Runs a scenario with an asyncio connection of its own."""

    async def run() -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(up.address, options) as channel:
            await scenario(channel)

    asyncio.run(run())


async def _code(call: Any) -> grpc.StatusCode:
    code: grpc.StatusCode = await call.code()
    return code


def test_a_flood_delays_nobody_else() -> None:
    """Of thousands of calls from one caller nearly all come after another caller's single one."""
    engine = OrderedEngine()
    portions, portion = 2, 500  # a connection holds a thousand; more wait at their caller
    request = digits_pb2.PredictRequest(pixels=image_of(1)).SerializeToString()

    async def flood(channel: Any) -> None:
        send = channel.unary_unary(_PREDICT)
        asked = [send(request)]
        assert await asyncio.to_thread(engine.entered.wait, 30)

        def arrived(calls: int) -> None:
            until(lambda: up.server.admission.images >= calls)

        for _ in range(portions):
            asked += [send(request) for _ in range(portion)]
            await asyncio.to_thread(arrived, len(asked))
        other = asyncio.create_task(asyncio.to_thread(predicted, up, image_of(9)))
        await asyncio.to_thread(arrived, len(asked) + 1)
        engine.go.set()
        assert await other == 9
        assert {await _code(call) for call in asked} == {grpc.StatusCode.OK}

    with leaving_nothing(engine, inline=False) as up:
        asking(flood, up)
    flooded = engine.asked.index(9) - engine.asked.index(1)
    assert flooded <= 3  # what runs, what is ready behind it, and what came before it


@pytest.mark.parametrize("inline", [True, False])
def test_a_flood_that_vanishes_leaves_nothing(inline: bool) -> None:
    """Its calls and streams are cancelled at work, in the queue and on their way."""
    engine = InkEngine() if inline else HeldEngine()
    request = digits_pb2.PredictRequest(pixels=bytes(784 * 50), count=50).SerializeToString()
    one = frame(image_of(1)).SerializeToString()

    async def flood(channel: Any) -> None:
        calls = [channel.unary_unary(_PREDICT)(request) for _ in range(300)]
        streams = [channel.stream_stream(_STREAM_PREDICT)() for _ in range(20)]
        for stream in streams * 5:
            await stream.write(one)
        await asyncio.to_thread(until, lambda: len(up.server.streams) == len(streams))
        for call in calls[::3]:
            call.cancel()

    with leaving_nothing(engine, inline=inline) as up:
        asking(flood, up)
        if isinstance(engine, HeldEngine):
            engine.go.set()


def test_streams_that_never_read_delay_nobody_else() -> None:
    """Their windows fill and they are read no further; a single call is answered beside them."""

    async def flood(channel: Any) -> None:
        async with asyncio.TaskGroup() as tasks:
            calls = [channel.stream_stream(_STREAM_PREDICT)() for _ in range(20)]
            writing = [tasks.create_task(_write_on(call)) for call in calls]
            for call in calls:
                await call.read()  # it is under way; nothing is read from here on
            for _ in range(20):
                assert await asyncio.to_thread(predicted, up, image_of(9)) == 9
            for each in writing:
                each.cancel()

    for inline in (True, False):
        with leaving_nothing(InkEngine(), inline=inline) as up:
            asking(flood, up)


async def _write_on(call: Any) -> None:
    """Writes frames for as long as there is room for them."""
    one = frame(image_of(1)).SerializeToString()
    while True:
        await call.write(one)


@pytest.mark.parametrize("inline", [True, False])
def test_a_thousand_slow_callers_keep_nobody_from_an_answer(inline: bool) -> None:
    """Streams that say nothing, or do not read; calls whose only message never comes."""
    one = frame(image_of(1)).SerializeToString()

    async def crowd(channel: Any) -> None:
        streams = [channel.stream_stream(_STREAM_PREDICT)() for _ in range(800)]
        for stream in streams[::2]:
            await stream.write(one)
        calls = [channel.stream_unary(_PREDICT)() for _ in range(200)]
        await asyncio.gather(*[call.wait_for_connection() for call in (*streams, *calls)])
        await asyncio.to_thread(until, lambda: len(up.server.streams) == len(streams))
        for digit in range(10):
            assert await asyncio.to_thread(predicted, up, image_of(digit)) == digit

    with leaving_nothing(InkEngine(), inline=inline) as up:
        asking(crowd, up)


@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.parametrize("broken", [{5}, {0, 7, 29}, set(range(30))])
def test_an_engine_that_raises_fails_its_own_calls_alone(inline: bool, broken: set[int]) -> None:
    """INTERNAL for each call and frame that broke it; the others, and the next, are answered."""
    pixels = [image_of(255 if at in broken else at % 10) for at in range(30)]
    expected = [at in broken for at in range(30)]

    async def ask(channel: Any) -> None:
        stub: Any = digits_pb2_grpc.DigitServiceStub(channel)
        asked = [stub.Predict(digits_pb2.PredictRequest(pixels=each)) for each in pixels]
        codes = [await _code(call) for call in asked]
        assert [code is grpc.StatusCode.INTERNAL for code in codes] == expected
        assert set(codes) <= {grpc.StatusCode.OK, grpc.StatusCode.INTERNAL}
        stream = stub.StreamPredict(iter([frame(each) for each in pixels]))
        assert [reply.HasField("failed") async for reply in stream] == expected

    with leaving_nothing(BrokenEngine(), inline=inline) as up:
        asking(ask, up)
