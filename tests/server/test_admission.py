"""Who is let in: nobody who would wait for nothing, and everybody whom that does not concern."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status
from hypothesis import given
from hypothesis import strategies as st

from digitserve.server.admission import Admission
from digitserve.server.engines import Answer, Engine
from digitserve.server.errors import QueueFull
from digitserve.server.fairness import FairLock
from digitserve.server.pace import Foretold, Pace
from digitserve.server.turns import Turns
from digitserve.server.versions.version import Version
from digitserve.v1 import digits_pb2, manifest_pb2, models_pb2
from support.engines import HeldEngine, InkEngine, image_of
from support.serving import TEST_CONFIG, Serving, serving
from support.talk import frame

_IMAGE_S = 0.01
_PREDICT = "/digitserve.v1.DigitService/Predict"


@contextmanager
def _serving(
    engine: Engine, *, image_s: float = _IMAGE_S, images: int = 8, **config: Any
) -> Iterator[Serving]:
    """A server with an engine off the loop, of which is known what an image takes."""
    turns = Turns([engine], inline=False, images=images, image_s=image_s)
    versions = [Version(1, turns, manifest_pb2.ModelManifest())]
    with serving(replace(TEST_CONFIG, **config), versions) as up:
        yield up


class _Caller:
    """A connection, and the calls on it that wait."""

    def __init__(self, up: Serving, channel: grpc.Channel) -> None:
        self._up = up
        self._send = channel.unary_unary(
            _PREDICT,
            digits_pb2.PredictRequest.SerializeToString,
            digits_pb2.PredictResponse.FromString,
        )
        self.calls: list[Any] = []

    def ask(self, calls: int = 1, timeout: float = 60) -> None:
        """Asks, and waits until the server has the calls, or they are over."""
        before = len(self.calls)
        request = digits_pb2.PredictRequest(pixels=image_of(1))
        self.calls += [self._send.future(request, timeout=timeout) for _ in range(calls)]
        give_up = time.monotonic() + 30
        while _inside(self._up) + sum(each.done() for each in self.calls) < before + calls:
            assert time.monotonic() < give_up

    @property
    def refused(self) -> list[Any]:
        """The calls that were."""
        exhausted = grpc.StatusCode.RESOURCE_EXHAUSTED
        return [each for each in self.calls if each.done() and each.code() is exhausted]


def _inside(up: Serving) -> int:
    """How many images a held server holds."""

    async def count() -> int:
        lock = up.server.registry.resolve(1, None).turns._threads._lock  # type: ignore[union-attr]
        return lock._running + lock._queued

    return up.run(count())


def test_a_call_that_would_wait_too_long_is_refused_at_once() -> None:
    """RESOURCE_EXHAUSTED; RetryInfo and pushback are the time in which the queue is gone."""
    engine = HeldEngine()
    with _serving(engine) as up, up.channel() as channel:
        caller = _Caller(up, channel)
        caller.ask(60)
        assert len(caller.refused) in range(18, 21)  # 0.4 of the 0.5 s of `max_wait_s`
        status = rpc_status.from_call(caller.refused[0])
        retry = error_details_pb2.RetryInfo()
        assert any(detail.Unpack(retry) for detail in status.details)
        assert "its turn would come in 0.4" in status.message
        after_ms = retry.retry_delay.ToMilliseconds()
        assert 400 <= after_ms <= 420
        assert ("grpc-retry-pushback-ms", f"{after_ms}") in caller.refused[0].trailing_metadata()
        engine.go.set()


def test_a_call_that_would_be_too_late_is_refused_at_once() -> None:
    """A deadline before its turn; one that is far enough away is let in."""
    engine = HeldEngine()
    with _serving(engine) as up, up.channel() as channel:
        caller = _Caller(up, channel)
        caller.ask(20)
        caller.ask(timeout=0.2)
        assert len(caller.refused) == 1
        assert "the deadline is in" in caller.refused[0].details()
        caller.ask(timeout=5)
        assert len(caller.refused) == 1
        engine.go.set()


def test_a_flood_is_refused_and_a_lone_caller_is_not() -> None:
    """What is foretold is a caller's own wait: his turn comes soon, however many others wait."""
    engine = HeldEngine()
    with _serving(engine) as up, up.channel() as channel, up.digits() as other:
        flood = _Caller(up, channel)
        flood.ask(60)
        assert flood.refused
        lone = other.Predict.future(digits_pb2.PredictRequest(pixels=image_of(9)), timeout=60)
        engine.go.set()
        assert lone.result().predictions[0].digit == 9


def test_who_is_alone_is_never_refused() -> None:
    """However slow the engine is said to be: no other time would be better."""
    with _serving(InkEngine(), image_s=3600) as up, up.digits() as stub:
        assert stub.Predict(digits_pb2.PredictRequest(pixels=image_of(3)), timeout=5)


def test_what_was_cancelled_counts_no_more() -> None:
    """Neither as a part of the queue, nor against who asked for it."""
    engine = HeldEngine()
    with _serving(engine) as up, up.channel() as channel:
        caller = _Caller(up, channel)
        caller.ask(60)
        refused = len(caller.refused)
        for call in caller.calls:
            call.cancel()
        give_up = time.monotonic() + 30
        while _inside(up):
            assert time.monotonic() < give_up
        caller.calls.clear()
        caller.ask(60 - refused)
        assert len(caller.refused) <= 2
        engine.go.set()


@pytest.mark.parametrize("how", ["cancelled", "expired"])
def test_what_nobody_waits_for_is_not_computed(how: str) -> None:
    """Of the calls that wait, and of the frames of streams; also of what is ready to be next."""
    engine = HeldEngine()
    with _serving(engine) as up, up.channel() as channel, up.digits() as stub:
        caller = _Caller(up, channel)
        caller.ask()
        assert engine.entered.wait(30)
        timeout = 60.0 if how == "cancelled" else 1.0
        caller.ask(10, timeout)
        frames = [frame(image_of(2), timeout_us=round(timeout * 1e6)) for _ in range(3)]
        stream = stub.StreamPredict(iter(frames), timeout=timeout)
        give_up = time.monotonic() + 30
        while not up.server.streams and time.monotonic() < give_up:
            pass
        for call in (*caller.calls[1:], stream):
            if how == "cancelled":
                call.cancel()
        while _inside(up) > 1 or up.server.streams:
            assert time.monotonic() < give_up
        engine.go.set()
        caller.calls[0].result()
        caller.ask()
        caller.calls[-1].result()
    assert engine.images == 2


def test_streams_leave_room_for_calls() -> None:
    """They wait for room; a call is refused. So they may not take all of it."""
    engine = HeldEngine()
    with (
        _serving(engine, image_s=1e-6, images=1, max_queue_images=16) as up,
        up.digits() as stub,
        up.channel() as channel,
    ):
        stream = stub.StreamPredict(iter([frame(image_of(1))] * 40), timeout=60)
        give_up = time.monotonic() + 30
        while not up.server.streams or next(iter(up.server.streams)).messages < 15:
            assert time.monotonic() < give_up
        send: Any = channel.unary_unary(_PREDICT)
        call = send.future(
            digits_pb2.PredictRequest(pixels=image_of(1)).SerializeToString(), timeout=60
        )
        engine.go.set()
        assert call.result()
        assert len(list(stream)) == 40


class _BusyEngine(InkEngine):
    """Takes 5 ms an image."""

    def predict(self, images: npt.NDArray[np.uint8]) -> Answer:
        time.sleep(0.005 * len(images))  # the engine's work, not a test's waiting
        return super().predict(images)


@pytest.mark.parametrize("inline", [True, False])
def test_nothing_else_waits_behind_predictions(inline: bool) -> None:
    """Health, ModelService and reflection answer in the middle of a flood."""
    turns = Turns([_BusyEngine()], inline=inline, images=4)
    versions = [Version(1, turns, manifest_pb2.ModelManifest())]
    request = digits_pb2.PredictRequest(pixels=image_of(1)).SerializeToString()
    over = threading.Event()

    def flood(channel: grpc.Channel) -> None:
        send: Any = channel.unary_unary(_PREDICT)
        while not over.is_set():
            calls = [send.future(request, timeout=60) for _ in range(50)]
            for call in calls:
                call.exception()

    with serving(TEST_CONFIG, versions) as up, up.channel() as first, up.channel() as second:
        threads = [threading.Thread(target=flood, args=(each,)) for each in (first, second)]
        for each in threads:
            each.start()
        try:
            longest = max(_took_of_neighbours(up) for _ in range(10))
        finally:
            over.set()
            for each in threads:
                each.join()
    assert longest < 0.25  # fifty calls wait, of 5 ms each, on either connection


def _took_of_neighbours(up: Serving) -> float:
    """The seconds of the slowest of them, on a connection of their own."""
    reflect = reflection_pb2.ServerReflectionRequest(list_services="")
    with up.channel() as channel, up.models() as models:
        health = health_pb2_grpc.HealthStub(channel)
        reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
        took = []
        for ask in (
            lambda: health.Check(health_pb2.HealthCheckRequest()),
            lambda: models.ListVersions(models_pb2.ListVersionsRequest()),
            lambda: list(reflection.ServerReflectionInfo(iter([reflect]))),
        ):
            begun = time.monotonic()
            ask()
            took.append(time.monotonic() - begun)
    return max(took)


@given(
    images=st.integers(0, 100_000),
    image_s=st.floats(1e-6, 10),
)
def test_the_time_to_come_back_is_bounded(images: int, image_s: float) -> None:
    """As long as the queue takes, but neither at once nor in minutes."""
    admission = Admission(1, 0.5)
    admission.enter(images or 1)
    with pytest.raises(QueueFull) as raised:
        admission.check(1, Foretold(0.0, 0.0, image_s), None)
    expected = min(max((images or 1) * image_s, 0.05), 5.0)
    assert raised.value.retry_after_s == pytest.approx(expected)


def test_a_machine_that_stood_still_is_no_slow_engine() -> None:
    """One turn of a minute hardly shows; an engine that has become slow is believed soon."""
    pace = Pace(0.002)
    pace.took(1, 60.0)
    assert pace.image_s < 0.003
    for _ in range(60):
        pace.took(10, 0.2)
    assert pace.image_s == pytest.approx(0.02, rel=0.1)


def test_an_engine_that_nobody_timed_is_judged_by_its_best_turns() -> None:
    """The very first one sets things up, and would have callers refused for nothing."""
    pace = Pace()
    for seconds in (5.0, 0.003, 0.002, 0.004):
        pace.took(1, seconds)
    assert pace.image_s == 0.002


def test_short_turns_are_ready_and_long_ones_wait() -> None:
    """Behind each holder one short turn may be ready: nobody waits for it a full turn longer."""

    async def held(images: int) -> int:
        lock, holders, most = FairLock(1, short=2), 0, 0

        async def hold() -> None:
            nonlocal holders, most
            async with lock.turn(object(), images):
                holders += 1
                most = max(most, holders)
                await asyncio.sleep(0)
                holders -= 1

        await asyncio.gather(*[hold() for _ in range(6)])
        return most

    assert asyncio.run(held(2)) == 2
    assert asyncio.run(held(3)) == 1
