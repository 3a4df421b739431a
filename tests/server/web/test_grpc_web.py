"""gRPC-Web, byte by byte, against a real server."""

import asyncio
import base64
import socket
from collections.abc import Iterator
from dataclasses import replace
from http.client import HTTPConnection
from urllib.parse import unquote

import pytest
from google.rpc import error_details_pb2, status_pb2

from digitserve.v1 import digits_pb2
from support.engines import HeldEngine, InkEngine, image_of
from support.serving import Serving, serving, versions_of
from support.web import HTTP, ORIGIN, PREDICT, STREAM, asked, framed, frames, predicted, trailers


@pytest.fixture(scope="module", name="up")
def _up() -> Iterator[Serving]:
    """A server that serves HTTP too, also to the pages of one other origin."""
    with serving(replace(HTTP, http_origins=(ORIGIN,)), versions_of(InkEngine())) as up:
        yield up


def test_a_call_is_answered(up: Serving) -> None:
    """A frame with the answer, and one that says OK."""
    request = digits_pb2.PredictRequest(pixels=image_of(7) + image_of(3), count=2)
    response, body = asked(up, PREDICT, framed(request))
    assert response.status == 200
    assert response.headers["content-type"] == "application/grpc-web+proto"
    assert predicted(frames(body)) == [7, 3]
    assert trailers(frames(body)) == {"grpc-status": "0"}


def test_text_is_the_same_in_base64(up: Serving) -> None:
    """Whichever way its pieces are cut."""
    body = base64.b64encode(framed(digits_pb2.PredictRequest(pixels=image_of(4))))
    kind = "application/grpc-web-text"
    response, said = asked(up, PREDICT, body, kind)
    assert response.headers["content-type"] == "application/grpc-web-text+proto"
    # Each piece is padded by itself.
    pieces = [base64.b64decode(each + b"=" * (-len(each) % 4)) for each in said.split(b"=") if each]
    assert predicted(frames(b"".join(pieces))) == [4]


def test_a_stream_is_sent_whole_and_heard_as_it_is_said(up: Serving) -> None:
    """Every frame gets its outcome, in order; then the end."""
    sent = [
        digits_pb2.StreamPredictRequest(frame=digits_pb2.Frame(pixels=image_of(digit)))
        for digit in (1, 2, 3)
    ]
    _, body = asked(up, STREAM, b"".join(map(framed, sent)))
    *said, _ = frames(body)
    heard = [digits_pb2.StreamPredictResponse.FromString(data) for _, data in said]
    assert [each.predicted.predictions[0].digit for each in heard] == [1, 2, 3]
    assert trailers(frames(body)) == {"grpc-status": "0"}


@pytest.mark.parametrize(
    ("body", "reason", "field"),
    [
        (framed(digits_pb2.PredictRequest(pixels=b"?")), "PIXELS_LENGTH", "pixels"),
        (framed(b"\xff"), "NOT_A_MESSAGE", ""),
        (b"", "MESSAGE_MISSING", ""),
        (framed(b"") * 2, "MESSAGE_SURPLUS", ""),
        (framed(b"1234")[:-1], "NOT_A_MESSAGE", ""),
    ],
)
def test_what_is_wrong_is_named(up: Serving, body: bytes, reason: str, field: str) -> None:
    """With code, message and details, as gRPC tells them."""
    response, said = asked(up, PREDICT, body)
    assert response.status == 200
    told = trailers(frames(said))
    assert told["grpc-status"] == "3"
    details = told["grpc-status-details-bin"]
    status = status_pb2.Status.FromString(base64.b64decode(details + "=" * (-len(details) % 4)))
    assert status.message == unquote(told["grpc-message"])
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    assert status.details[0].Unpack(info)
    assert info.reason == reason
    assert status.details[1].Unpack(bad)
    assert bad.field_violations[0].field == field


def test_base64_that_is_none_is_named(up: Serving) -> None:
    """A page's fault, not the server's."""
    for body in (b"???=", b"AAA"):
        _, said = asked(up, PREDICT, body, "application/grpc-web-text")
        (end,) = frames(base64.b64decode(said))
        assert b"grpc-status: 3" in end[1]


def test_a_message_may_not_be_too_long(up: Serving) -> None:
    """It is refused by its length, before it has come."""
    _, said = asked(up, PREDICT, b"\0" + (2**31).to_bytes(4, "big"))
    assert trailers(frames(said))["grpc-status"] == "8"


@pytest.mark.parametrize(
    ("kind", "timeout", "status"),
    [("application/json", "", 415), ("application/grpc", "", 415), ("", "soon", 400)],
)
def test_what_is_no_grpc_web_is_refused(up: Serving, kind: str, timeout: str, status: int) -> None:
    """In HTTP's own words."""
    kind = kind or "application/grpc-web"
    response, said = asked(up, PREDICT, b"", kind, grpc_timeout=timeout)
    assert response.status == status
    assert said


def test_what_is_not_there_is_not_found(up: Serving) -> None:
    """Neither by name nor by verb."""
    assert asked(up, "/digitserve.v1.DigitService/Guess", b"")[0].status == 404
    connection = HTTPConnection(up.server.http, timeout=60)
    connection.request("DELETE", PREDICT)
    assert connection.getresponse().status == 405
    connection.close()


def test_a_deadline_holds() -> None:
    """Whoever waits no longer is told so, and nothing is computed for him."""
    engine = HeldEngine()
    with serving(HTTP, versions_of(engine, inline=False)) as up:
        request = framed(digits_pb2.PredictRequest(pixels=bytes(784)))
        _, said = asked(up, PREDICT, request, grpc_timeout="100m")
        assert trailers(frames(said))["grpc-status"] == "4"
        engine.go.set()


def test_who_goes_ends_his_call() -> None:
    """The handler is cancelled; nothing is left of it."""
    engine = HeldEngine()
    with serving(HTTP, versions_of(engine, inline=False)) as up:
        idle = up.tasks()
        body = framed(digits_pb2.PredictRequest(pixels=bytes(784)))
        host, _, port = up.server.http.partition(":")
        head = (
            f"POST {PREDICT} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/grpc-web\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        with socket.create_connection((host, int(port))) as caller:
            caller.sendall(head.encode() + body)
            assert engine.entered.wait(60)
            assert up.tasks() > idle
        while up.tasks() > idle:
            pass
        engine.go.set()


def test_a_drain_answers_what_was_accepted() -> None:
    """And then nobody is let in."""
    engine = HeldEngine()
    with serving(HTTP, versions_of(engine, inline=False)) as up:
        connection = HTTPConnection(up.server.http, timeout=60)
        body = framed(digits_pb2.PredictRequest(pixels=image_of(0)))
        connection.request("POST", PREDICT, body, {"content-type": "application/grpc-web"})
        assert engine.entered.wait(60)
        draining = asyncio.run_coroutine_threadsafe(up.server.drain(0.0), up.loop)
        engine.go.set()
        assert trailers(frames(connection.getresponse().read())) == {"grpc-status": "0"}
        assert draining.result(timeout=60)
        connection.close()
        with pytest.raises(ConnectionRefusedError):
            asked(up, PREDICT, body)


def test_a_drain_does_not_wait_for_who_watches_health() -> None:
    """A watch never ends by itself: it is ended, and the drain was clean."""
    with serving(HTTP, versions_of(InkEngine())) as up:
        connection = HTTPConnection(up.server.http, timeout=60)
        kind = {"content-type": "application/grpc-web"}
        connection.request("POST", "/grpc.health.v1.Health/Watch", framed(b""), kind)
        response = connection.getresponse()
        assert response.read(7) == framed(b"\x08\x01")
        assert up.run(asyncio.wait_for(up.server.drain(0.0), HTTP.grace_s / 2)) is True
        assert trailers(frames(response.read()))["grpc-status"] == "14"
        connection.close()


def test_health_is_asked_in_the_same_way(up: Serving) -> None:
    """Every service of the server is there."""
    _, said = asked(up, "/grpc.health.v1.Health/Check", framed(b""))
    assert frames(said)[0][1] == b"\x08\x01"
