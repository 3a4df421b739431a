"""A busy server that says when to come back: who comes back, when, and how often."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner

from digitserve.client import (
    AsyncDigitClient,
    CallError,
    DigitClient,
    Failed,
    Predicted,
    ResourceExhausted,
    Unavailable,
)
from digitserve.client._again import Again
from digitserve.client.cli import main
from digitserve.server.engines import Answer
from digitserve.server.errors import QueueFull, StreamsExceeded
from support.engines import InkEngine, image_of
from support.serving import Serving, serving, versions_of

_AFTER_S = 0.05
BUSY = ResourceExhausted(grpc.StatusCode.RESOURCE_EXHAUSTED, "busy", retry_after=1.0)
TOO_LONG = ResourceExhausted(grpc.StatusCode.RESOURCE_EXHAUSTED, "too long")
MISSING = Unavailable(grpc.StatusCode.UNAVAILABLE, "nobody there")


class BusyEngine(InkEngine):
    """Is too busy for the first so many turns; remembers when each came."""

    def __init__(self, busy: int, error: Exception | None = None) -> None:
        super().__init__()
        self._busy = busy
        self._error = error or QueueFull("busy", _AFTER_S)
        self.came: list[float] = []

    def predict(self, images: npt.NDArray[np.uint8]) -> Answer:
        self.came.append(time.monotonic())
        if len(self.came) <= self._busy:
            raise self._error
        return super().predict(images)

    @property
    def pauses(self) -> list[float]:
        """Seconds between one and the next."""
        return [after - before for before, after in zip(self.came, self.came[1:], strict=False)]


@contextmanager
def busy(turns: int, error: Exception | None = None) -> Iterator[tuple[Serving, BusyEngine]]:
    """A server that is busy at first."""
    engine = BusyEngine(turns, error)
    with serving(versions=versions_of(engine)) as up:
        yield up, engine


def _sync(address: str | list[str], **options: Any) -> int:
    with DigitClient(address, **options) as client:
        return client.predict(image_of(4)).digit


def _async(address: str | list[str], **options: Any) -> int:
    async def ask() -> int:
        async with AsyncDigitClient(address, **options) as client:
            return (await client.predict(image_of(4))).digit

    return asyncio.run(ask())


def _pipeline(address: str, **options: Any) -> int:
    with DigitClient(address, **options) as client, client.pipeline() as pipeline:
        return pipeline.predict(image_of(4)).digit


@pytest.fixture(params=[_sync, _async, _pipeline], ids=["sync", "async", "pipeline"])
def ask(request: pytest.FixtureRequest) -> Callable[..., int]:
    """Each way to ask for one image."""
    way: Callable[..., int] = request.param
    return way


def test_a_busy_server_is_asked_again_no_sooner_than_it_says(ask: Callable[..., int]) -> None:
    """Three times by default, each after the pause that it named, give or take a half more."""
    with busy(3) as (up, engine):
        assert ask(up.address) == 4
    assert len(engine.came) == 4
    assert min(engine.pauses) >= _AFTER_S


def test_a_server_that_stays_busy_is_let_alone(ask: Callable[..., int]) -> None:
    """After so many retries as were asked for, its answer is the caller's."""
    with busy(100) as (up, engine), pytest.raises(ResourceExhausted) as raised:
        ask(up.address, retries=2)
    assert len(engine.came) == 3
    assert raised.value.retry_after == _AFTER_S


def test_without_retries_a_refusal_is_the_answer(ask: Callable[..., int]) -> None:
    """At once."""
    with busy(1) as (up, engine), pytest.raises(ResourceExhausted):
        ask(up.address, retries=0)
    assert len(engine.came) == 1


def test_nobody_waits_past_his_deadline(ask: Callable[..., int]) -> None:
    """A pause that would end after it is not begun: the refusal says more than an expiry."""
    error = QueueFull("busy", 30.0)
    with busy(1, error) as (up, engine), pytest.raises(ResourceExhausted):
        ask(up.address, timeout=20)
    assert len(engine.came) == 1


def test_what_names_no_time_is_not_asked_again(ask: Callable[..., int]) -> None:
    """It would be refused another time too."""
    with (
        busy(1, StreamsExceeded("robot", 3)) as (up, engine),
        pytest.raises(ResourceExhausted) as raised,
    ):
        ask(up.address)
    assert raised.value.retry_after is None
    assert len(engine.came) == 1


def test_another_server_is_asked_at_once() -> None:
    """Only when all are busy one is waited for."""
    with busy(1, QueueFull("busy", 30.0)) as (first, engine), busy(0) as (second, _):
        assert _sync([first.address, second.address], timeout=20) == 4
        assert len(engine.came) == 1


def test_a_stream_gets_the_refusal_of_a_frame_as_its_outcome() -> None:
    """A frame that is sent again would overtake others, or be stale: who streams decides."""
    with busy(1) as (up, engine), DigitClient(up.address) as client:
        refused, answered = client.stream([image_of(1), image_of(2)], max_in_flight=1)
    assert isinstance(refused, Failed)
    assert isinstance(answered, Predicted)
    assert refused.error.retry_after == _AFTER_S
    assert answered.predictions[0].digit == 2
    assert len(engine.came) == 2


def test_the_command_takes_the_number(tmp_path: Any) -> None:
    """`--retries 0` fails where the default waits."""
    np.save(tmp_path / "one.npy", np.full((1, 28, 28), 4, np.uint8))
    for retries, code in (("0", 1), ("1", 0)):
        with busy(1) as (up, _):
            arguments = ["predict", str(tmp_path / "one.npy"), "--address", up.address]
            result = CliRunner().invoke(main, [*arguments, "--retries", retries])
        assert bool(result.exit_code) == bool(code), result.output


def test_a_number_of_retries_is_not_negative() -> None:
    """A ValueError that says so."""
    with pytest.raises(ValueError, match="retries: expected 0 or more, got -1"):
        DigitClient(retries=-1)


def test_pauses_are_spread() -> None:
    """Who was refused together does not come back together, and nobody too soon."""
    pauses = {Again(1, 1, None).pause(BUSY) for _ in range(20)}
    assert len(pauses) > 1
    assert all(1.0 <= pause <= 1.5 for pause in pauses)


def _raised(again: Again, error: CallError) -> CallError:
    with pytest.raises(CallError) as raised:
        again.pause(error)
    return raised.value


def test_each_server_is_asked_once_in_a_round() -> None:
    """At once; after a round in which one was busy there is another, as often as `retries` says."""
    again = Again(1, 2, None)
    assert again.pause(BUSY) == 0.0
    assert again.pause(BUSY) >= 1.0
    assert again.pause(BUSY) == 0.0
    assert _raised(again, BUSY) is BUSY


@pytest.mark.parametrize("missing_first", [True, False])
def test_a_missing_server_takes_no_retry_of_a_busy_one(missing_first: bool) -> None:
    """It is passed over in each round; in the end the busy one's answer says more."""
    a_round = [MISSING, BUSY] if missing_first else [BUSY, MISSING]
    again = Again(3, 2, None)
    for _ in range(3):
        assert again.pause(a_round[0]) == 0.0
        assert again.pause(a_round[1]) >= 1.0
    assert again.pause(a_round[0]) == 0.0
    assert _raised(again, a_round[1]) is BUSY


def test_servers_that_are_all_missing_are_not_waited_for() -> None:
    """Nor where one of them was busy before it went."""
    assert _raised(Again(3, 1, None), MISSING) is MISSING
    again = Again(3, 2, None)
    for error in (MISSING, BUSY, MISSING):
        again.pause(error)
    assert _raised(again, MISSING) is MISSING


def test_what_is_wrong_is_not_asked_again_though_another_server_is_busy() -> None:
    """It would be as wrong there."""
    again = Again(3, 2, None)
    again.pause(BUSY)
    assert _raised(again, TOO_LONG) is TOO_LONG


@pytest.mark.parametrize("ask", [_sync, _async])
def test_a_busy_server_beside_a_missing_one_is_waited_for(ask: Callable[..., int]) -> None:
    """As if it were alone."""
    with busy(2) as (up, engine):
        assert ask(["127.0.0.1:1", up.address], timeout=60) == 4
    assert len(engine.came) == 3
    assert min(engine.pauses) >= _AFTER_S
