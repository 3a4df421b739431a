"""How a stream is left, polled and cut short, for threads and for asyncio."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

import grpc
import pytest

from digitserve.client import AsyncDigitClient, CallError, DigitClient, Outcome, Predicted
from support.engines import HeldEngine, InkEngine, image_of
from support.serving import TEST_CONFIG, Serving, serving, versions_of


class _QuietSource:
    """A camera that sees one digit, and then nothing until it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        yield image_of(1)
        assert self.go.wait(timeout=60)
        yield image_of(2)


async def _quiet() -> AsyncIterator[bytes]:
    """The same; it is never let go."""
    yield image_of(1)
    await asyncio.Event().wait()


async def _rest(stream: AsyncIterator[Outcome]) -> list[Outcome]:
    return [outcome async for outcome in stream]


def _threads_of_streams() -> list[threading.Thread]:
    """Those that read sources, and gRPC's, which send."""
    names = ("_pump", "consume_request_iterator")
    return [each for each in threading.enumerate() if any(name in each.name for name in names)]


def _digits(outcomes: list[Outcome]) -> list[int]:
    return [each.predictions[0].digit for each in outcomes if isinstance(each, Predicted)]


# --- left by somebody else -------------------------------------------------------------------


def test_a_stream_that_another_thread_closes_ends(serving: Serving) -> None:
    """Whoever reads sees the plain end: that is what was asked for."""
    source = _QuietSource()
    with DigitClient(serving.address) as client, ThreadPoolExecutor(1) as side:
        stream = client.stream(source)
        assert isinstance(next(stream), Predicted)
        rest = side.submit(list, stream)
        stream.close()
        source.go.set()
        assert rest.result(timeout=60) == []


def test_an_async_stream_that_another_task_closes_ends(serving: Serving) -> None:
    """It is not the reader's task that was cancelled."""

    async def scenario() -> list[Outcome]:
        async with AsyncDigitClient(serving.address) as client:
            stream = client.stream(_quiet())
            await anext(stream)
            rest = asyncio.create_task(_rest(stream))
            await asyncio.sleep(0)  # it reads
            await stream.close()
            return await rest

    assert asyncio.run(scenario()) == []


def test_a_client_that_another_thread_closes_ends_its_streams(serving: Serving) -> None:
    """With CANCELLED, once; and no thread is left, whether anybody reads or not."""
    before = set(_threads_of_streams())
    client = DigitClient(serving.address)
    source = _QuietSource()
    read, unread = client.stream(source), client.stream([image_of(1)] * 9, max_in_flight=1)
    assert isinstance(next(read), Predicted)
    with ThreadPoolExecutor(1) as side:
        rest = side.submit(list, read)
        client.close()
        source.go.set()
        with pytest.raises(CallError, match="the client is closed") as raised:
            rest.result(timeout=60)
    assert raised.value.code is grpc.StatusCode.CANCELLED
    assert list(read) == []
    for thread in set(_threads_of_streams()) - before:
        thread.join(timeout=60)
        assert not thread.is_alive()
    with pytest.raises(CallError, match="the client is closed"):
        next(unread)


def test_an_async_client_that_another_task_closes_ends_its_streams(serving: Serving) -> None:
    """With CANCELLED, and not as if the reader's task had been cancelled."""

    async def scenario() -> None:
        client = AsyncDigitClient(serving.address)
        stream = client.stream(_quiet())
        await anext(stream)
        rest = asyncio.create_task(_rest(stream))
        await asyncio.sleep(0)  # it reads
        await client.close()
        with pytest.raises(CallError, match="the client is closed") as raised:
            await rest
        assert raised.value.code is grpc.StatusCode.CANCELLED
        assert await _rest(stream) == []

    asyncio.run(scenario())


def test_a_client_that_is_closed_while_its_stream_resumes_says_so() -> None:
    """Here in the very moment in which the stream connects, which asks for the token."""
    closing = False

    def token() -> str:
        if closing:
            client.close()
        return "any"

    aging = replace(TEST_CONFIG, stream_max_age_s=0.01)
    with serving(aging) as up, DigitClient(up.address, token=token) as client:
        source = _QuietSource()
        stream = client.stream(source)
        assert isinstance(next(stream), Predicted)
        closing = True
        with pytest.raises(CallError, match="the client is closed") as raised:
            next(stream)
        source.go.set()
    assert raised.value.code is grpc.StatusCode.CANCELLED


def test_a_client_that_is_closed_is_not_asked(serving: Serving) -> None:
    """Calls and streams say why."""
    client = DigitClient(serving.address)
    client.close()
    for ask in (client.predict, client.stream):
        with pytest.raises(CallError, match="the client is closed"):
            ask(image_of(1))


def test_a_stream_without_room_for_a_frame_is_refused(serving: Serving) -> None:
    """It would wait for ever; by both clients, when it is asked for."""

    async def scenario() -> None:
        async with AsyncDigitClient(serving.address) as client:
            client.stream([image_of(1)], max_in_flight=0)

    for most in (0, -1):
        with DigitClient(serving.address) as client, pytest.raises(ValueError, match="max_in_fl"):
            client.stream([image_of(1)], max_in_flight=most)
    with pytest.raises(ValueError, match="max_in_flight: expected 1 or more, got 0"):
        asyncio.run(scenario())


# --- polled ----------------------------------------------------------------------------------


def test_a_poll_that_times_out_loses_nothing() -> None:
    """Neither what was under way nor the stream; and the frame went to the network once."""
    engine = HeldEngine()

    async def scenario(address: str) -> list[Outcome]:
        async with AsyncDigitClient(address) as client, client.stream([image_of(7)]) as stream:
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(anext(stream), 0.01)
            engine.go.set()
            return await _rest(stream)

    with serving(versions=versions_of(engine, inline=False)) as up:
        assert _digits(asyncio.run(scenario(up.address))) == [7]
    assert engine.images == 1


def test_a_stream_that_is_polled_resumes(address: str) -> None:
    """However short the polls are: the pauses between the attempts pass meanwhile."""
    config = replace(TEST_CONFIG, addresses=(address,))

    async def scenario() -> list[Outcome]:
        back = asyncio.Event()

        async def source() -> AsyncIterator[bytes]:
            yield image_of(1)
            await back.wait()
            yield image_of(2)

        async with AsyncDigitClient(address) as client, client.stream(source()) as stream:
            with serving(config, versions_of(InkEngine())):
                outcomes = [await anext(stream)]
            with serving(config, versions_of(InkEngine())):
                back.set()
                while len(outcomes) < 2:
                    with suppress(TimeoutError):
                        outcomes.append(await asyncio.wait_for(anext(stream), 0.001))
        return outcomes

    assert _digits(asyncio.run(scenario())) == [1, 2]


def test_a_reader_that_is_cancelled_is_cancelled(serving: Serving) -> None:
    """What was begun for it is over when the stream is closed."""

    async def scenario() -> set[asyncio.Task[Any]]:
        async with AsyncDigitClient(serving.address) as client:
            before = asyncio.all_tasks()

            async def read() -> None:
                async with client.stream(_quiet()) as stream:
                    await _rest(stream)

            reading = asyncio.create_task(read())
            await asyncio.sleep(0)  # it reads
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            assert reading.cancelled()
            left = asyncio.all_tasks() - before
            return (await asyncio.wait(left, timeout=60))[1] if left else set()

    assert asyncio.run(scenario()) == set()
