"""A stream outlives the server that carries it: every frame has one outcome, or a named loss."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from threading import Event, Semaphore
from typing import Any, Self

import grpc
import pytest

from digitserve.client import AsyncDigitClient, DigitClient, Frame, Outcome, Predicted, StreamEnded
from digitserve.client._ledger import Ledger
from digitserve.client._messages import stream_options
from digitserve.client._stream import Stream
from digitserve.v1 import digits_pb2
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


class _Connects:
    """Counts how often a stream connects: each time it asks for its token."""

    def __init__(self) -> None:
        self._connected = Semaphore(0)

    def token(self) -> str:
        self._connected.release()
        return "any"

    def source(self) -> Iterator[bytes]:
        """A camera that sees nothing before the stream has connected for the fifth time."""
        for _ in range(5):
            assert self._connected.acquire(timeout=60)
        yield image_of(7)


# No more than two pauses: the third that is charged is one too many.
_IMPATIENT = 0.15


def test_a_quiet_stream_outlives_every_rotation() -> None:
    """The server ends it politely when it is too old: nobody lost anything."""
    connects = _Connects()
    config = replace(TEST_CONFIG, stream_max_age_s=0.1)
    with (
        serving(config, versions_of(InkEngine())) as up,
        DigitClient(up.address, token=connects.token) as client,
    ):
        (outcome,) = client.stream(connects.source(), resume=_IMPATIENT)
    assert isinstance(outcome, Predicted)


def test_a_quiet_async_stream_outlives_every_rotation() -> None:
    """The same for the other client."""
    connects = _Connects()
    config = replace(TEST_CONFIG, stream_max_age_s=0.1)

    async def source() -> AsyncIterator[bytes]:
        yield await asyncio.to_thread(next, connects.source())

    async def scenario(address: str) -> list[Outcome]:
        async with AsyncDigitClient(address, token=connects.token) as client:
            return [each async for each in client.stream(source(), resume=_IMPATIENT)]

    with serving(config, versions_of(InkEngine())) as up:
        (outcome,) = asyncio.run(scenario(up.address))
    assert isinstance(outcome, Predicted)


class _Gone(grpc.RpcError):
    """What gRPC says when the connection breaks."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE

    def details(self) -> str:
        return "the connection broke"

    def trailing_metadata(self) -> tuple[()]:
        return ()


class _FirstCallBreaks:
    """Two servers in one, on no wire: it is the test that says when a call asks for a frame.

    The first call takes a frame and breaks; its sender comes round once more when the second call
    has begun.  That one answers whatever it is sent.
    """

    count = 2

    def __init__(self) -> None:
        self.now = self.digits = self
        self.taken_late: list[Any] = []
        self._calls: list[Iterator[Any]] = []
        self._answers: Iterator[Any] = iter(())

    def StreamPredict(self, requests: Iterator[Any], **_: object) -> Self:  # noqa: N802
        self._calls.append(requests)
        self._answers = self._answered(requests) if len(self._calls) > 1 else _broken(requests)
        return self

    def __next__(self) -> Any:
        return next(self._answers)

    def cancel(self) -> None:
        pass

    def leave(self, server: object) -> None:
        pass

    def when_closed(self, end: object) -> None:
        pass

    def _answered(self, requests: Iterator[Any]) -> Iterator[Any]:
        self.taken_late.extend(self._calls[0])
        for sequence, request in enumerate(requests):
            assert request.HasField("options") is (sequence == 0)
            name = request.frame.frame_id
            response = digits_pb2.StreamPredictResponse(sequence=sequence, frame_id=name)
            response.predicted.model_version = 1
            yield response


def _broken(requests: Iterator[Any]) -> Iterator[Any]:
    """A call that takes one frame and says nothing."""
    next(requests)
    raise _Gone
    yield


def test_a_call_that_is_over_takes_nothing_from_the_next() -> None:
    """Its sender may come round late: it would take a frame that then nobody sends."""
    servers: Any = _FirstCallBreaks()
    options = stream_options(version=None, label=None, brief=False, max_in_flight=64)
    frames = [Frame(image_of(at), frame_id=str(at)) for at in range(4)]
    with Stream(servers, frames, Ledger(options), None, 30.0) as outcomes:
        came = [(each.sequence, each.frame_id) for each in outcomes]
    assert servers.taken_late == []
    assert came == [(at, str(at)) for at in range(4)]
