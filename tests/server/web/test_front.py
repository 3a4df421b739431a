"""What serves HTTP/1.1: whose pages, who calls, TLS, several workers, and a full house."""

import json
import signal
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from pathlib import Path

import pytest

from digitserve.server.app import MissingExtra
from digitserve.server.guard.tokens import make_token
from digitserve.server.web import front
from digitserve.v1 import digits_pb2
from support.command import server_command
from support.engines import InkEngine, image_of
from support.keys import Authority
from support.scrape import unused_address
from support.serving import Serving, serving, versions_of
from support.web import HTTP, ORIGIN, PREDICT, asked, framed, frames, predicted, trailers


@pytest.fixture(scope="module", name="up")
def _up() -> Iterator[Serving]:
    """A server that serves HTTP too, also to the pages of one other origin."""
    with serving(replace(HTTP, http_origins=(ORIGIN,)), versions_of(InkEngine())) as up:
        yield up


def test_pages_of_other_origins_are_let_in_by_name(up: Serving) -> None:
    """What they may send and see is said before they ask."""

    def preflight(origin: str) -> HTTPResponse:
        connection = HTTPConnection(up.server.http, timeout=60)
        headers = {"origin": origin, "access-control-request-method": "POST"}
        connection.request("OPTIONS", PREDICT, headers=headers)
        response = connection.getresponse()
        connection.close()
        return response

    assert preflight(ORIGIN).headers["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-origin" not in preflight("https://other.example").headers
    body = framed(digits_pb2.PredictRequest(pixels=image_of(1)))
    response, _ = asked(up, PREDICT, body, origin=ORIGIN)
    assert "grpc-status" in response.headers["access-control-expose-headers"]


@pytest.mark.parametrize("header", ["digitserve-key", "inference-header-content-length"])
def test_a_page_of_a_named_origin_may_send_what_calls_are_made_of(up: Serving, header: str) -> None:
    """The caller's key, and where bytes begin after JSON; of the answer it sees the latter too."""
    connection = HTTPConnection(up.server.http, timeout=60)
    asking = {"method": "POST", "headers": f"content-type,{header}"}
    headers = {f"access-control-request-{name}": value for name, value in asking.items()}
    connection.request("OPTIONS", PREDICT, headers={"origin": ORIGIN} | headers)
    assert connection.getresponse().status == 200
    connection.close()
    response, _ = asked(up, PREDICT, b"", origin=ORIGIN)
    seen = response.headers["access-control-expose-headers"].split(", ")
    assert "inference-header-content-length" in seen


def test_nobody_says_that_he_is_another(caplog: pytest.LogCaptureFixture) -> None:
    """Callers are told apart by their addresses, whatever a header says; calls are logged."""
    caplog.set_level("INFO", "digitserve.server.calls")
    body = framed(digits_pb2.PredictRequest(pixels=image_of(1)))
    with serving(replace(HTTP, log_calls="all"), versions_of(InkEngine())) as up:
        asked(up, PREDICT, body, x_forwarded_for="10.1.2.3")
    (told,) = (vars(each)["told"] for each in caplog.records if "Predict OK" in each.message)
    assert told["peer"].startswith("ipv4:127.0.0.1:")


def test_tls_is_spoken_with_the_same_certificate(tmp_path: Path) -> None:
    """And nothing else is."""
    authority = Authority("ours", tmp_path)
    cert, key = authority.issue("server", "localhost")
    config = replace(HTTP, tls_cert=cert, tls_key=key)
    body = framed(digits_pb2.PredictRequest(pixels=image_of(5)))
    with serving(config, versions_of(InkEngine())) as up:
        host, _, port = up.server.http.partition(":")
        trusted = ssl.create_default_context(cafile=str(authority.path))
        trusted.check_hostname = False  # it is called by its number
        connection = HTTPSConnection(host, int(port), context=trusted, timeout=60)
        connection.request("POST", PREDICT, body, {"content-type": "application/grpc-web"})
        assert predicted(frames(connection.getresponse().read())) == [5]
        connection.close()
        with pytest.raises(OSError):  # noqa: PT011 - closed, or reset
            asked(up, PREDICT, body)


def test_credentials_are_asked_for(tmp_path: Path) -> None:
    """In the header that gRPC calls metadata."""
    tokens, made = tmp_path / "tokens.json", make_token()
    entry = {"id": made.id, "sha256": made.sha256, "name": "page", "scopes": ["predict"]}
    tokens.write_text(json.dumps({"tokens": [entry]}), encoding="utf-8")
    tokens.chmod(0o600)
    body = framed(digits_pb2.PredictRequest(pixels=image_of(6)))
    with serving(replace(HTTP, tokens=tokens), versions_of(InkEngine())) as up:
        _, said = asked(up, PREDICT, body)
        assert trailers(frames(said))["grpc-status"] == "16"
        _, said = asked(up, PREDICT, body, authorization=f"Bearer {made.token}")
        assert predicted(frames(said)) == [6]


def test_workers_share_the_port() -> None:
    """Each connection is some worker's; all answer."""
    http = unused_address()
    body = framed(digits_pb2.PredictRequest(pixels=bytes(784)))
    with server_command("--http", http, "--workers", "2") as command:
        for _ in range(8):
            connection = HTTPConnection(http, timeout=60)
            connection.request("POST", PREDICT, body, {"content-type": "application/grpc-web"})
            assert trailers(frames(connection.getresponse().read())) == {"grpc-status": "0"}
            connection.close()
        command.signal(signal.SIGINT)
        assert command.wait() == 0


def test_who_comes_when_it_is_full_is_told_503(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is let in when others have left."""
    monkeypatch.setattr(front, "_MOST_CONNECTIONS", 2)
    body = framed(digits_pb2.PredictRequest(pixels=image_of(8)))
    with serving(HTTP, versions_of(InkEngine())) as up:
        host, _, port = up.server.http.partition(":")
        idle = [socket.create_connection((host, int(port))) for _ in range(2)]
        assert asked(up, PREDICT, body)[0].status == 503
        for each in idle:
            each.close()
        while asked(up, PREDICT, body)[0].status == 503:
            pass


def test_who_reads_nothing_keeps_no_server_from_its_end() -> None:
    """What was written to him is given up; else it would never end from Python 3.12 on."""
    long = b"x" * 8000  # fills what waits to be read with fewer requests
    asking = b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\nx: %b\r\n\r\n" % long
    with serving(HTTP, versions_of(InkEngine())) as up, unread(up.server.http) as deaf:
        deaf.settimeout(0.5)
        with suppress(TimeoutError):  # by then the server waits for him
            while True:
                deaf.sendall(asking)
        up.run(up.server.stop())
        deaf.settimeout(60)
        with pytest.raises(ConnectionResetError):
            all(iter(lambda: deaf.recv(1 << 16), b""))


def test_who_says_nothing_of_tls_keeps_no_server_from_its_end(tmp_path: Path) -> None:
    """The handshake may take a minute; a server that stops does not wait for it."""
    cert, key = Authority("ours", tmp_path).issue("server", "localhost")
    config = replace(HTTP, tls_cert=cert, tls_key=key)
    with serving(config, versions_of(InkEngine())) as up, unread(up.server.http):
        began = time.monotonic()
        up.run(up.server.stop())
        assert time.monotonic() - began < 30


@contextmanager
def unread(address: str) -> Iterator[socket.socket]:
    """A connection whose peer reads nothing, and has little room for it."""
    host, _, port = address.partition(":")
    with socket.socket() as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        made.connect((host, int(port)))
        yield made


@pytest.mark.parametrize("path", [PREDICT, "/v2/models/digits/infer"])
def test_a_request_that_never_comes_whole_is_cut(path: str) -> None:
    """And the drain says so, as of all that it cuts."""
    config = replace(HTTP, grace_s=0.1)
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/grpc-web\r\n"
    with serving(config, versions_of(InkEngine())) as up, unread(up.server.http) as caller:
        caller.sendall(f"{head}content-length: 1000\r\nexpect: 100-continue\r\n\r\n".encode())
        assert caller.recv(1)  # its body is waited for
        assert not up.run(up.server.drain(0.0))


def test_a_watch_holds_up_no_drain() -> None:
    """It has no end of its own, so nothing of it is cut."""
    body = framed(b"")
    head = (
        "POST /grpc.health.v1.Health/Watch HTTP/1.1\r\nhost: localhost\r\n"
        f"content-type: application/grpc-web\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    config = replace(HTTP, grace_s=3600.0)
    with serving(config, versions_of(InkEngine())) as up, unread(up.server.http) as watching:
        watching.sendall(head.encode() + body)
        assert watching.recv(1)
        assert up.run(up.server.drain(0.0))


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what installs it."""
    monkeypatch.setitem(sys.modules, "digitserve.server.web.front", None)
    with pytest.raises(MissingExtra, match=r"digitserve\[http\]"), serving(HTTP):
        pass
