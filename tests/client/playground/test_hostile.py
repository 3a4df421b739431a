"""What is no message, too many of them, and whoever is not the page: refused, or bounded."""

import http.client
import socket
import struct
import time
from contextlib import ExitStack, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed, InvalidStatus

from digitserve.client.playground import seeing
from digitserve.client.playground.wire import MAX_MESSAGE_BYTES, Kind, Malformed, parse
from support.playground import Playing, message, stroke

_PICTURES = st.tuples(st.integers(1, 40), st.integers(1, 40)).flatmap(
    lambda size: st.tuples(
        st.just(size), st.binary(min_size=size[0] * size[1], max_size=size[0] * size[1])
    )
)
# Closed at once, with a reset in place of a farewell.
_RESET = struct.pack("ii", 1, 0)
_WRONG: dict[str, bytes | str] = {
    "nothing": b"",
    "half a header": b"\x01\x01\0\0",
    "another version": b"\x02" + message(stroke())[1:],
    "another kind": message(stroke(), kind=9),
    "unknown flags": message(stroke(), flags=4),
    "too few pixels": message(stroke())[:-1],
    "too many pixels": message(stroke()) + b"\0",
    "no width": message(b"", size=(0, 56)),
    "a wide picture": message(bytes(4000), size=(4000, 1)),
    "text": "hello",
}


def answers(playground: Playing) -> bool:
    """Whether a page is still served."""
    with playground.page() as page:
        return bool(page.ask(message(stroke()))["kind"] == "answer")


@pytest.mark.parametrize("what", _WRONG)
def test_what_is_no_message(playground: Playing, what: str) -> None:
    """Ends that page's connection, which is told what was expected and what came."""
    with playground.page() as page:
        page.socket.send(_WRONG[what])
        said = page.hear("refused")["message"]
        with pytest.raises(ConnectionClosed) as closed:
            page.hear("nothing")
    assert said.startswith("expected ")
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1003
    assert answers(playground)


@given(st.binary(max_size=64))
def test_any_bytes_are_a_message_or_malformed(garbage: bytes) -> None:
    """Nothing else is raised."""
    try:
        sent = parse(garbage)
    except Malformed:
        return
    assert len(sent.pixels) == sent.width * sent.height


@given(_PICTURES, st.sampled_from(Kind))
def test_any_pixels_can_be_looked_at(picture: tuple[tuple[int, int], bytes], kind: Kind) -> None:
    """However odd a picture is, there are images for the model on it, or there are none."""
    size, grey = picture
    sent = parse(message(grey, kind=kind, size=size))
    if kind is Kind.DRAWING:
        image = seeing.drawn(sent)
        assert image is None or len(image) == 784
    else:
        assert len(seeing.found(sent)) <= seeing.MAX_FOUND


def test_a_message_that_is_too_long(playground: Playing) -> None:
    """Is not read to its end."""
    with playground.page() as page:
        page.socket.send(bytes(MAX_MESSAGE_BYTES + 1))
        with pytest.raises(ConnectionClosed) as closed:
            page.hear("nothing")
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009
    assert answers(playground)


def test_a_flood_is_read_at_the_pace_of_a_pen(playground: Playing) -> None:
    """The sender waits; another page is answered meanwhile."""
    with playground.page() as flooder:
        start = time.monotonic()
        for frame in range(600):
            flooder.socket.send(message(stroke(), frame=frame))
        assert answers(playground)
        for _ in range(600):
            flooder.hear("answer", "skipped")
        took = time.monotonic() - start
    assert took > (600 - 60) / 300 * 0.9


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost.evil.example"])
def test_another_origin(playground: Playing, origin: str) -> None:
    """Any other page that the browser has open."""
    with pytest.raises(InvalidStatus) as refused, playground.socket(origin):
        pass
    assert refused.value.response.status_code == 403


def test_no_origin(playground: Playing) -> None:
    """A browser always says it."""
    with pytest.raises(InvalidStatus), playground.socket(""):
        pass


def test_a_name_that_was_made_to_point_here(playground: Playing) -> None:
    """DNS rebinding: Origin and Host agree, and are somebody else's."""
    status, _ = get(playground, "/", Host="evil.example")
    assert status == 403
    assert get(playground, "/")[0] == 200


def test_an_upload_from_another_origin(playground: Playing) -> None:
    """A form of another page may post, and is not answered."""
    connection = http.client.HTTPConnection(playground.host, timeout=60)
    connection.request("POST", "/upload?name=a", b"a", {"Origin": "http://evil.example"})
    assert connection.getresponse().status == 403
    connection.close()


def test_pages_that_vanish(playground: Playing) -> None:
    """Connections cut in the middle of everything: nobody complains, others are answered."""
    for _ in range(30):
        with suppress(OSError), playground.page() as page:
            for frame in range(10):
                page.socket.send(message(stroke(), frame=frame))
            page.socket.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            page.socket.socket.close()
    assert answers(playground)


def test_too_many_pages(playground: Playing) -> None:
    """The seventeenth is told to try later, and the others live on."""
    with ExitStack() as open_:
        pages = [open_.enter_context(playground.page()) for _ in range(16)]
        late = open_.enter_context(playground.page())
        with pytest.raises(ConnectionClosed) as closed:
            late.hear("hello")
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1013
        assert pages[0].ask(message(stroke()))["kind"] == "answer"


def test_the_page_may_do_nothing_that_it_does_not_need(playground: Playing) -> None:
    """No inline script or style, no other host, no frame."""
    _, headers = get(playground, "/")
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/../app.py", "/..%2fapp.py", "/%2e%2e/app.py", "/nothing"])
def test_nothing_but_the_page_is_served(playground: Playing, path: str) -> None:
    """No other file."""
    assert get(playground, path)[0] == 404


def test_garbage_in_place_of_http(playground: Playing) -> None:
    """A connection that speaks something else."""
    connection = http.client.HTTPConnection(playground.host, timeout=60)
    connection.connect()
    connection.sock.sendall(struct.pack("<64I", *range(64)) + b"\r\n\r\n")
    assert connection.sock.recv(100).startswith(b"HTTP/1.1 400")
    connection.close()
    assert answers(playground)


def get(playground: Playing, path: str, **headers: str) -> tuple[int, dict[str, str]]:
    """Status and headers of a GET."""
    connection = http.client.HTTPConnection(playground.host, timeout=60)
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status, {name.lower(): value for name, value in response.getheaders()}
