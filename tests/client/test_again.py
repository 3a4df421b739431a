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


def _async(address: str, **options: Any) -> int:
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
    assert all(pause is not None and 1.0 <= pause <= 1.5 for pause in pauses)


def test_busy_and_missing_servers_are_counted_apart() -> None:
    """Each server is asked once in a round; what is missing is not waited for."""
    again = Again(1, 2, None)
    assert again.pause(MISSING) == 0.0
    assert again.pause(BUSY) == 0.0
    assert again.pause(TOO_LONG) is None
    assert again.pause(MISSING) is None
