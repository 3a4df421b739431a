"""Connections that grow old: their clients go elsewhere, and lose nothing by it."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from digitserve.client import DigitClient, Predicted
from digitserve.server.transport.http2 import connection
from digitserve.v1 import digits_pb2
from support.engines import InkEngine, image_of
from support.http2 import (
    ACK,
    PING,
    REFUSED_STREAM,
    STREAM_PREDICT,
    Peer,
    asking,
    frame,
    head,
    message,
)
from support.serving import TEST_CONFIG, Serving, serving, versions_of
from support.talk import frame as image_frame

SEVEN = asking(image_of(7))
WATCH = "/grpc.health.v1.Health/Watch"
HIGHEST = 2**31 - 1


def retire(up: Serving) -> None:
    """The connections' time has come."""

    async def retired() -> None:
        for each in up.server._server.connections:
            each._retire()

    up.run(retired())


def grown_old(up: Serving, peer: Peer) -> None:
    """The connection's time has come, and the client has heard of it."""
    retire(up)
    peer.until(lambda: bool(peer.pings))
    assert peer.goaway == (HIGHEST, 0, "max_age")


def heard(peer: Peer) -> None:
    """The client says that it has heard."""
    peer.send(frame(PING, ACK, 0, peer.pings[-1]))


@pytest.fixture
def up() -> Iterator[Serving]:
    """A server."""
    with serving(versions=versions_of(InkEngine())) as up_:
        yield up_


def test_what_was_asked_before_the_word_arrived_is_answered(up: Serving) -> None:
    """Only what comes after the client has heard is refused, and nothing is by then."""
    with Peer(up.address) as peer:
        assert peer.predict(image_of(1)) == [1]
        grown_old(up, peer)
        assert peer.predict(image_of(7)) == [7]
        stream = peer.begin(head(STREAM_PREDICT))
        heard(peer)
        peer.pass_by()
        assert peer.goaway == (stream, 0, "")
        assert peer.wait(peer.ask(SEVEN)).reset == REFUSED_STREAM
        peer.data(stream, message(image_frame(image_of(3)).SerializeToString()), last=True)
        peer.until_closed()
        assert peer.answer(stream).status == 0


def test_an_idle_connection_is_closed(up: Serving) -> None:
    """There is nothing to wait for."""
    with Peer(up.address) as peer:
        peer.pass_by()
        grown_old(up, peer)
        heard(peer)
        assert peer.until_closed() == 0


def test_a_client_that_does_not_answer_is_not_waited_for_long(
    up: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its new calls are refused all the same."""
    monkeypatch.setattr(connection, "_RETIRING_S", 0.0)
    with Peer(up.address) as peer:
        peer.pass_by()
        retire(up)
        peer.until_closed()
        assert peer.pings
        assert peer.goaway == (0, 0, "")


def test_what_never_ends_by_itself_does_not_keep_it(up: Serving) -> None:
    """Watching health goes on while anything else does, then ends as at a drain."""
    with Peer(up.address) as peer:
        watches = [peer.ask(message(b""), head(WATCH)) for _ in range(3)]
        stream = peer.begin(head(STREAM_PREDICT))
        peer.pass_by()
        grown_old(up, peer)
        heard(peer)
        peer.pass_by()
        assert not any(peer.answer(each).over for each in watches)
        peer.data(stream, last=True)
        peer.until_closed()
        assert peer.answer(stream).status == 0
        assert [peer.answer(each).status for each in watches] == [14, 14, 14]


@pytest.fixture
def restless() -> Iterator[Serving]:
    """A server whose connections live for some ten milliseconds."""
    config = replace(TEST_CONFIG, connection_max_age_s=0.01)
    with serving(config, versions_of(InkEngine())) as up_:
        yield up_


def test_calls_notice_nothing(restless: Serving) -> None:
    """Each is answered by gRPC's own client, with nobody trying again: on one or the next."""
    with restless.digits() as digits:
        for digit in [*range(10)] * 50:
            answer = digits.Predict(digits_pb2.PredictRequest(pixels=image_of(digit)))
            assert answer.predictions[0].digit == digit


def test_an_open_stream_notices_nothing(restless: Serving) -> None:
    """It goes on where it is, though calls beside it are elsewhere by now."""
    with DigitClient(restless.address) as client:
        frames = (image_of(digit) for digit in [*range(10)] * 30)
        with client.stream(frames, max_in_flight=1, resume=0) as outcomes:
            for digit, outcome in zip([*range(10)] * 30, outcomes, strict=True):
                assert isinstance(outcome, Predicted)
                assert outcome.predictions[0].digit == digit
                assert client.predict(image_of(digit)).digit == digit
