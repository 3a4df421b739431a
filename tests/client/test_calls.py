"""The two clients: one vocabulary, frozen results, errors that carry what the server said."""

import asyncio
import dataclasses
import inspect
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
import pytest

import digitserve.client
from digitserve.client import (
    AsyncDigitClient,
    DeadlineExceeded,
    DigitClient,
    Failed,
    Frame,
    Health,
    InvalidArgument,
    InvalidImage,
    NotFound,
    Outcome,
    Predicted,
    Unavailable,
)
from support.engines import HeldEngine, image_of
from support.serving import Serving, serving, versions_of

BLANK = bytes(784)
Ask = Callable[..., Any]


def _ask_sync(address: str, method: str, *arguments: Any, **options: Any) -> Any:
    with DigitClient(address) as client:
        answer = getattr(client, method)(*arguments, **options)
        return list(answer) if method == "stream" else answer


def _ask_async(address: str, method: str, *arguments: Any, **options: Any) -> Any:
    async def ask() -> Any:
        async with AsyncDigitClient(address) as client:
            if method == "stream":
                return [each async for each in client.stream(*arguments, **options)]
            return await getattr(client, method)(*arguments, **options)

    return asyncio.run(ask())


@pytest.fixture(params=[_ask_sync, _ask_async], ids=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Asks a server with either client."""
    asked: Ask = request.param
    return asked


def test_the_public_names_are_pinned() -> None:
    """Sorted, and all there."""
    names = digitserve.client.__all__
    assert names == sorted(names)
    assert all(hasattr(digitserve.client, name) for name in names)


def test_both_clients_have_one_vocabulary() -> None:
    """The same methods with the same parameters."""
    for name in ("__init__", "predict", "predict_batch", "stream", "health"):
        parameters = [
            list(inspect.signature(getattr(client, name)).parameters)
            for client in (DigitClient, AsyncDigitClient)
        ]
        assert parameters[0] == parameters[1]


def test_predict(serving: Serving, ask: Ask) -> None:
    """One image, one frozen prediction."""
    prediction = ask(serving.address, "predict", BLANK)
    assert prediction.confidence == max(prediction.probabilities)
    assert prediction.probabilities[prediction.digit] == prediction.confidence
    assert prediction.version == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        prediction.digit = 3


def test_brief(serving: Serving, ask: Ask) -> None:
    """Nothing but digit, confidence and version."""
    prediction = ask(serving.address, "predict", BLANK, brief=True)
    assert (prediction.probabilities, prediction.rejection) == ((), None)


def test_predict_batch(serving: Serving, ask: Ask) -> None:
    """One prediction for each image, in order, whatever the batch's form."""
    images = np.random.default_rng(0).integers(0, 256, (40, 28, 28), np.uint8)
    one_by_one = [ask(serving.address, "predict", image) for image in images[:3]]
    batch = ask(serving.address, "predict_batch", images)
    assert len(batch) == 40
    assert batch[:3] == one_by_one
    assert ask(serving.address, "predict_batch", list(images)) == batch


def test_stream(serving: Serving, ask: Ask) -> None:
    """One outcome for each frame, in order, with its name and its times."""
    frames = [Frame(BLANK, frame_id="a"), BLANK, Frame([BLANK, BLANK], frame_id="c", timeout=60)]
    outcomes = ask(serving.address, "stream", frames)
    assert all(isinstance(each, Predicted) for each in outcomes)
    assert [(each.sequence, each.frame_id) for each in outcomes] == [(0, "a"), (1, ""), (2, "c")]
    assert [len(each.predictions) for each in outcomes] == [1, 1, 2]
    assert all(each.wait >= 0 and each.model > 0 for each in outcomes)


def test_an_empty_stream_ends(serving: Serving, ask: Ask) -> None:
    """No frame, no outcome."""
    assert ask(serving.address, "stream", []) == []


def test_a_bad_frame_fails_alone(serving: Serving, ask: Ask) -> None:
    """With the error that a call would have raised; the stream goes on."""
    bad = np.full((28, 28), np.nan)
    fine = np.zeros((28, 28))
    first, second, third = ask(serving.address, "stream", [fine, Frame(bad, frame_id="bad"), fine])
    assert isinstance(second, Failed)
    assert isinstance(second.error, InvalidArgument)
    assert (second.frame_id, second.error.reason) == ("bad", "PIXELS_OUT_OF_RANGE")
    assert isinstance(first, Predicted)
    assert isinstance(third, Predicted)


def test_a_source_that_raises_is_heard_after_what_it_gave(serving: Serving) -> None:
    """What it gave is answered; then its error comes out where the outcomes are read."""

    def source() -> Iterator[bytes]:
        yield BLANK
        yield BLANK
        raise OSError("camera unplugged")

    heard: list[Outcome] = []
    with DigitClient(serving.address) as client, pytest.raises(OSError, match="unplugged"):
        heard.extend(client.stream(source()))
    with DigitClient(serving.address) as client:
        outcomes = client.stream(source())
        assert [next(outcomes).sequence, next(outcomes).sequence] == [0, 1]
        with pytest.raises(OSError, match="unplugged"):
            next(outcomes)


def test_what_is_no_image_is_not_sent(serving: Serving, ask: Ask) -> None:
    """In a call and in a stream."""
    with pytest.raises(InvalidImage):
        ask(serving.address, "predict", b"123")
    with pytest.raises(InvalidImage):
        ask(serving.address, "stream", [BLANK, b"123"])


@pytest.mark.parametrize("method", ["predict", "stream"])
def test_an_unknown_label_is_not_found(serving: Serving, ask: Ask, method: str) -> None:
    """With the server's reason, from a call and from a stream alike."""
    images = BLANK if method == "predict" else [BLANK] * 50
    with pytest.raises(NotFound) as raised:
        ask(serving.address, method, images, label="canary")
    assert raised.value.code is grpc.StatusCode.NOT_FOUND
    assert raised.value.reason == "LABEL_UNKNOWN"
    assert "there is: stable" in raised.value.message


def test_an_invalid_argument_names_its_field(serving: Serving, ask: Ask) -> None:
    """What was expected and what came."""
    with pytest.raises(InvalidArgument) as raised:
        ask(serving.address, "predict", np.full((28, 28), 255.0))
    (violation,) = raised.value.violations
    assert violation.field == "pixels"
    assert "divide by 255" in violation.description


def test_version_and_label_together_are_refused(serving: Serving, ask: Ask) -> None:
    """Before anything is sent."""
    with pytest.raises(ValueError, match="not both"):
        ask(serving.address, "predict", BLANK, version=1, label="stable")


def test_health(serving: Serving, ask: Ask) -> None:
    """Of the server and of its services; an unknown one is not found."""
    assert ask(serving.address, "health") is Health.SERVING
    assert ask(serving.address, "health", "digitserve.v1.DigitService") is Health.SERVING
    with pytest.raises(NotFound):
        ask(serving.address, "health", "no.such.Service")


def test_no_server_is_unavailable(ask: Ask) -> None:
    """A call and a stream say so, instead of waiting."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = "{}:{}".format(*free.getsockname())
        with pytest.raises(Unavailable):
            ask(address, "predict", BLANK)
        with pytest.raises(Unavailable):
            ask(address, "stream", [BLANK])


def test_a_deadline_is_kept(ask: Ask) -> None:
    """DeadlineExceeded, while the engine is busy with another."""
    engine = HeldEngine()
    with serving(versions=versions_of(engine, inline=False)) as up:
        with pytest.raises(DeadlineExceeded):
            ask(up.address, "predict", BLANK, timeout=0.05)
        engine.go.set()


ASKS = {
    "predict": lambda client: client.predict(BLANK, timeout=0),
    "models": lambda client: client.models.load(1, timeout=0),
    "pipeline": lambda client: client.pipeline(timeout=0).predict(BLANK),
    "pipelined": lambda client: client.pipeline().predict(BLANK, timeout=0),
}


@pytest.mark.parametrize("what", ASKS)
@pytest.mark.parametrize("client_timeout", [None, 600.0])
def test_no_time_at_all_is_not_the_default(
    silent: str, what: str, client_timeout: float | None
) -> None:
    """`timeout=0`, what is left of a caller's own deadline: over at once, and not unbounded."""

    async def ask() -> None:
        async with AsyncDigitClient(silent, timeout=client_timeout) as client:
            await ASKS[what](client)

    with DigitClient(silent, timeout=client_timeout) as client, pytest.raises(DeadlineExceeded):
        ASKS[what](client)
    with pytest.raises(DeadlineExceeded):
        asyncio.run(ask())


def test_one_client_serves_many_threads_and_streams(serving: Serving) -> None:
    """Calls and streams of several threads, through one client, do not mix."""
    with DigitClient(serving.address) as client:

        def work(worker: int) -> bool:
            images = np.random.default_rng(worker).integers(0, 256, (30, 28, 28), np.uint8)
            streamed = [each.predictions[0] for each in client.stream(images)]  # type: ignore[union-attr]
            return streamed == client.predict_batch(images)

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(work, range(16)))


def test_the_source_is_read_no_further_than_the_window() -> None:
    """Back-pressure reaches the source: frames without an outcome stay within the bound."""
    engine = HeldEngine()
    given = 0
    window_full = threading.Event()

    def source() -> Iterator[bytes]:
        nonlocal given
        for _ in range(50):
            given += 1
            if given == 8:
                window_full.set()
            yield image_of(1)

    with (
        serving(versions=versions_of(engine, inline=False)) as up,
        DigitClient(up.address) as client,
    ):
        outcomes = client.stream(source(), max_in_flight=8)
        assert window_full.wait(timeout=10)
        assert engine.entered.wait(timeout=10)
        for _ in range(50):
            up.tasks()
        assert given == 8
        engine.go.set()
        assert len(list(outcomes)) == 50


def test_leaving_a_stream_early_ends_it(serving: Serving) -> None:
    """The server forgets it, and the client goes on."""

    def endless() -> Iterator[bytes]:
        while True:
            yield BLANK

    with DigitClient(serving.address) as client:
        with client.stream(endless()) as outcomes:
            assert isinstance(next(outcomes), Predicted)
        assert list(outcomes) == []
        assert client.predict(BLANK).version == 1
        while serving.server.streams:
            serving.tasks()
