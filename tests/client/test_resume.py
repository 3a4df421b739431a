"""A stream outlives the server that carries it: every frame has one outcome, or a named loss."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from threading import Event

import pytest

from digitserve.client import AsyncDigitClient, DigitClient, Predicted, StreamEnded
from support.command import server_command
from support.engines import InkEngine, image_of
from support.serving import TEST_CONFIG, serving, versions_of


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_stream_survives_restarts(address: str, number: signal.Signals) -> None:
    """Politely or not: the server is replaced in mid-stream, and no frame is lost or doubled."""
    frames = 400
    servers = [server_command("--address", address) for _ in range(3)]
    restart_at = {frames // 3, 2 * frames // 3}
    at = 0
    command = servers[0].__enter__()

    def source() -> Iterator[bytes]:
        nonlocal at, command
        for sequence in range(frames):
            if sequence in restart_at:
                command.signal(number)
                servers[at].__exit__(None, None, None)
                at += 1
                command = servers[at].__enter__()
            yield bytes([sequence % 256]) + bytes(783)

    try:
        with DigitClient(address) as client:
            outcomes = list(client.stream(source(), max_in_flight=16))
    finally:
        servers[at].__exit__(None, None, None)
    assert [each.sequence for each in outcomes] == list(range(frames))
    assert all(isinstance(each, Predicted) for each in outcomes)


def test_an_async_stream_survives_a_drain(address: str) -> None:
    """The same for the other client: the server drains, and another takes its place."""
    config = replace(TEST_CONFIG, addresses=(address,))
    with ExitStack() as servers:
        first = servers.enter_context(serving(config, versions_of(InkEngine())))

        def restart() -> None:
            assert first.run(first.server.drain(0)) is True
            servers.enter_context(serving(config, versions_of(InkEngine())))

        async def scenario() -> list[int]:
            restarting = []

            async def source() -> AsyncIterator[bytes]:
                for sequence in range(200):
                    if sequence == 100:
                        restarting.append(asyncio.ensure_future(asyncio.to_thread(restart)))
                    yield image_of(sequence % 10)

            async with AsyncDigitClient(address) as client:
                outcomes = [each async for each in client.stream(source(), max_in_flight=8)]
            await asyncio.gather(*restarting)
            return [each.predictions[0].digit for each in outcomes if isinstance(each, Predicted)]

        assert asyncio.run(scenario()) == [sequence % 10 for sequence in range(200)]


def test_a_stream_that_was_not_answered_yet_survives_a_drain(address: str) -> None:
    """A camera that has not seen anything when the server goes is carried on by the next one."""
    config = replace(TEST_CONFIG, addresses=(address,))
    seen = Event()

    def source() -> Iterator[bytes]:
        assert seen.wait(timeout=60)
        yield image_of(7)

    with ExitStack() as stack:
        first = stack.enter_context(serving(config, versions_of(InkEngine())))
        side = stack.enter_context(ThreadPoolExecutor(1))
        client = stack.enter_context(DigitClient(address))
        outcomes = side.submit(list, client.stream(source()))
        stack.callback(seen.set)
        while not first.server.streams:
            assert not outcomes.done()
        assert first.run(first.server.drain(0)) is True
        stack.enter_context(serving(config, versions_of(InkEngine())))
        seen.set()
        (outcome,) = outcomes.result(timeout=60)
    assert isinstance(outcome, Predicted)
    assert outcome.predictions[0].digit == 7


def test_a_stream_that_nobody_carries_on_says_what_is_unanswered() -> None:
    """StreamEnded, with the cause and the frames that have no outcome."""
    with serving(versions=versions_of(InkEngine())) as up, DigitClient(up.address) as client:
        gone = False

        def source() -> Iterator[bytes]:
            yield image_of(1)
            while not gone:
                pass
            yield image_of(2)

        outcomes = client.stream(source(), resume=0)
        assert isinstance(next(outcomes), Predicted)
        up.run(up.server.stop())
        gone = True
        with pytest.raises(StreamEnded) as raised:
            list(outcomes)
    assert set(raised.value.unanswered) <= {1}
    assert raised.value.cause is not None
