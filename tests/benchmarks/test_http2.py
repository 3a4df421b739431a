"""The load generator: it gets what a real client gets, and believes no answer that is wrong."""

from collections.abc import Iterator

import pytest

from benchmarks.http2 import Connection, Exchange, WrongAnswer
from digitserve.v1 import digits_pb2
from support.engines import InkEngine, image_of
from support.serving import Serving, serving, versions_of


@pytest.fixture(name="up", scope="module")
def _up() -> Iterator[Serving]:
    with serving(versions=versions_of(InkEngine())) as up:
        yield up


@pytest.fixture(name="connection")
def _connection(up: Serving) -> Iterator[Connection]:
    with Connection(up.address) as connection:
        yield connection


def digit(value: int) -> bytes:
    """How a prediction of this digit begins."""
    return bytes([0x08, value, 0x15])


CALLS = [
    Exchange(digits_pb2.PredictRequest(pixels=image_of(at)).SerializeToString(), digit(at))
    for at in range(10)
]
FRAMES = [
    Exchange(
        digits_pb2.StreamPredictRequest(
            frame=digits_pb2.Frame(pixels=image_of(at))
        ).SerializeToString(),
        digit(at),
    )
    for at in range(10)
]


def test_calls_are_answered(connection: Connection) -> None:
    """Each with what its own image says; every answer is timed."""
    tally = connection.unary("Predict", CALLS, 4, 0.05)
    assert tally.answers == len(tally.latencies) >= 4


def test_a_message_longer_than_the_window_is_answered(connection: Connection) -> None:
    """It is sent as the server makes room."""
    pixels = b"".join(image_of(at % 10) for at in range(1000))
    request = digits_pb2.PredictRequest(pixels=pixels, count=1000)
    exchange = Exchange(request.SerializeToString(), digit(9))
    assert connection.unary("Predict", [exchange], 2, 0.05).answers >= 2


def test_frames_are_answered_on_every_stream(connection: Connection) -> None:
    """In order, with a window of its own for each."""
    assert connection.streams("StreamPredict", FRAMES, 3, 8, 0.05).answers >= 3 * 8


def test_a_wrong_answer_ends_the_run(connection: Connection) -> None:
    """It is not counted as an answer."""
    wrong = [Exchange(CALLS[3].message, digit(4))]
    with pytest.raises(WrongAnswer):
        connection.unary("Predict", wrong, 1, 0.05)


def test_a_refusal_is_no_answer(connection: Connection) -> None:
    """An error of gRPC is a response as well, but not the one that was expected."""
    with pytest.raises(WrongAnswer):
        connection.unary("Predict", [Exchange(b"", digit(0))], 1, 0.05)
