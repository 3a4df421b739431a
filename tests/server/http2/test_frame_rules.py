"""Frames: what a peer may send is understood, what it may not ends no more than it must."""

from collections.abc import Callable

import pytest

from support.engines import image_of
from support.http2 import (
    ACK,
    CALM,
    COMPRESSION_ERROR,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    PROTOCOL_ERROR,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    STREAM_CLOSED,
    WINDOW_UPDATE,
    WITH_PRIORITY,
    Peer,
    asking,
    frame,
    head,
    message,
    number,
    settings,
)
from support.serving import Serving

SEVEN = asking(image_of(7))
_WEIGHT = b"\x10"
_STATIC = b"\x83\x86\x84"  # POST, http, /


def block(pairs: list[tuple[str, str]] | None = None) -> bytes:
    """A header block that touches no table."""
    literal = b""
    for name, value in pairs or head():
        literal += b"\x00" + bytes([len(name)]) + name.encode()
        literal += bytes([len(value)]) + value.encode()
    return literal


# --- what may be -----------------------------------------------------------------------------


def test_padding_is_taken_off(peer: Peer) -> None:
    """Of heads and of data; it counts for the windows all the same."""
    stream = peer.stream()
    padded = frame(HEADERS, END_HEADERS | PADDED, stream, b"\x07" + block() + bytes(7))
    peer.send(padded, frame(DATA, END_STREAM | PADDED, stream, b"\xff" + SEVEN + bytes(255)))
    assert peer.wait(stream).digits == [7]


@pytest.mark.parametrize("depends_on", [0, 99, 2**31 | 5])
def test_priorities_are_not_minded(peer: Peer, depends_on: int) -> None:
    """In a frame of their own, on any stream, and in heads, first and last ones alike."""
    peer.send(frame(PRIORITY, 0, 77, number(depends_on) + _WEIGHT))
    stream, weight = peer.stream(), number(depends_on) + _WEIGHT
    flags = END_HEADERS | WITH_PRIORITY
    peer.send(frame(HEADERS, flags, stream, weight + block()), frame(DATA, 0, stream, SEVEN))
    peer.send(frame(HEADERS, flags | END_STREAM, stream, weight + block([("some", "end")])))
    assert peer.wait(stream).digits == [7]


def test_a_head_may_come_in_pieces(peer: Peer) -> None:
    """In as many frames as there are bytes."""
    stream, parts = peer.stream(), [bytes([one]) for one in block()]
    peer.send(frame(HEADERS, 0, stream, parts[0]))
    peer.send(*(frame(CONTINUATION, 0, stream, part) for part in parts[1:-1]))
    peer.send(frame(CONTINUATION, END_HEADERS, stream, parts[-1]))
    peer.data(stream, SEVEN, last=True)
    assert peer.wait(stream).digits == [7]


def test_a_body_may_come_in_pieces(peer: Peer) -> None:
    """A byte a frame, empty frames between them, and an end of its own."""
    stream = peer.begin()
    for one in SEVEN:
        peer.send(frame(DATA, 0, stream, bytes([one])), frame(DATA, 0, stream))
    peer.data(stream, last=True)
    assert peer.wait(stream).digits == [7]


def test_a_call_may_end_with_a_head(peer: Peer) -> None:
    """As HTTP has trailers; nobody reads them."""
    stream = peer.begin()
    peer.data(stream, SEVEN)
    peer.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, peer.block([("x-end", "1")])))
    assert peer.wait(stream).digits == [7]
    assert peer.predict(image_of(4)) == [4]


def test_what_nobody_knows_is_not_minded(peer: Peer) -> None:
    """Frames, flags and settings that may come to be, and a GOAWAY from a client."""
    peer.send(frame(0xFE, 0xFF, 1, b"what?"), frame(0x0A, 0, 0, bytes(300)))
    peer.send(frame(SETTINGS, 0, 0, b"\xff\xff\x00\x00\x00\x01"))
    peer.send(frame(GOAWAY, 0, 0, bytes(8) + b"bye"), frame(PING, 0xF0, 0, b"12345678"))
    peer.send(frame(PING, ACK, 0, b"unasked!"), frame(SETTINGS, ACK, 0))
    assert peer.predict(image_of(3)) == [3]
    assert peer.pongs == [b"12345678"]


@pytest.mark.parametrize("size", [0, 1, 255])
def test_padding_alone_opens_its_window_again(peer: Peer, size: int) -> None:
    """However much of it comes, the call goes on."""
    stream = peer.begin()
    padding = frame(DATA, PADDED, stream, bytes([size]) + bytes(size))
    room = peer.settings.get(4, 65_535)
    for _ in range(2000):
        if room < 512:
            opened = peer.answer(stream).opened
            peer.until(lambda opened=opened: peer.answer(stream).opened > opened)  # type: ignore[misc]
            room += peer.answer(stream).opened - opened
        peer.send(padding)
        room -= 1 + size
    peer.data(stream, SEVEN, last=True)
    assert peer.wait(stream).digits == [7]


# --- what may not be ---------------------------------------------------------------------------


_ENDS_THE_CONNECTION = {
    "data on no stream": (PROTOCOL_ERROR, frame(DATA, 0, 0, b"x")),
    "data before a head": (PROTOCOL_ERROR, frame(DATA, 0, 9, b"x")),
    "data on the server's stream": (PROTOCOL_ERROR, frame(DATA, 0, 2, b"x")),
    "a head on no stream": (PROTOCOL_ERROR, frame(HEADERS, END_HEADERS, 0, _STATIC)),
    "a head on the server's stream": (PROTOCOL_ERROR, frame(HEADERS, END_HEADERS, 4, _STATIC)),
    "padding over all": (PROTOCOL_ERROR, frame(HEADERS, END_HEADERS | PADDED, 1, b"\x09ab")),
    "padding of nothing": (PROTOCOL_ERROR, frame(HEADERS, END_HEADERS | PADDED, 1)),
    "half a priority": (FRAME_SIZE_ERROR, frame(HEADERS, END_HEADERS | WITH_PRIORITY, 1, b"abc")),
    "a head that depends on itself": (
        PROTOCOL_ERROR,
        frame(HEADERS, END_HEADERS | WITH_PRIORITY, 1, number(1) + _WEIGHT + _STATIC),
    ),
    "a block that is none": (COMPRESSION_ERROR, frame(HEADERS, END_HEADERS, 1, b"\xff" * 9)),
    "an index of nothing": (COMPRESSION_ERROR, frame(HEADERS, END_HEADERS, 1, b"\xc0")),
    "a continuation of nothing": (PROTOCOL_ERROR, frame(CONTINUATION, END_HEADERS, 1, b"")),
    "another frame within a head": (PROTOCOL_ERROR, frame(HEADERS, 0, 1) + frame(DATA, 0, 1)),
    "an unknown frame within a head": (PROTOCOL_ERROR, frame(HEADERS, 0, 1) + frame(0xEE, 0, 1)),
    "another's head within a head": (
        PROTOCOL_ERROR,
        frame(HEADERS, 0, 1, _STATIC) + frame(CONTINUATION, END_HEADERS, 3),
    ),
    "an empty continuation": (
        CALM,
        frame(HEADERS, 0, 1, _STATIC) + frame(CONTINUATION, 0, 1),
    ),
    "a push": (PROTOCOL_ERROR, frame(PUSH_PROMISE, END_HEADERS, 1, number(2) + _STATIC)),
    "a PING on a stream": (PROTOCOL_ERROR, frame(PING, 0, 1, bytes(8))),
    "a short PING": (FRAME_SIZE_ERROR, frame(PING, 0, 0, bytes(7))),
    "settings on a stream": (PROTOCOL_ERROR, frame(SETTINGS, 0, 1)),
    "five bytes of settings": (FRAME_SIZE_ERROR, frame(SETTINGS, 0, 0, bytes(5))),
    "an answer that says something": (FRAME_SIZE_ERROR, frame(SETTINGS, ACK, 0, bytes(6))),
    "too small a frame size": (PROTOCOL_ERROR, settings(frame_size=16_383)),
    "too large a frame size": (PROTOCOL_ERROR, settings(frame_size=1 << 24)),
    "too large a window": (FLOW_CONTROL_ERROR, settings(window=1 << 31)),
    "a window opened by nothing": (PROTOCOL_ERROR, frame(WINDOW_UPDATE, 0, 0, number(0))),
    "a window opened by too much": (
        FLOW_CONTROL_ERROR,
        frame(WINDOW_UPDATE, 0, 0, number(2**31 - 1)),
    ),
    "a window of no call": (PROTOCOL_ERROR, frame(WINDOW_UPDATE, 0, 9, number(1))),
    "three bytes of a window": (FRAME_SIZE_ERROR, frame(WINDOW_UPDATE, 0, 0, bytes(3))),
    "a reset of no call": (PROTOCOL_ERROR, frame(RST_STREAM, 0, 9, number(8))),
    "a reset of nothing": (PROTOCOL_ERROR, frame(RST_STREAM, 0, 0, number(8))),
    "a frame longer than any may be": (FRAME_SIZE_ERROR, frame(DATA, 0, 1, bytes(16_385))),
    "a GOAWAY on a stream": (PROTOCOL_ERROR, frame(GOAWAY, 0, 1, bytes(8))),
}  # fmt: skip


@pytest.mark.parametrize("what", _ENDS_THE_CONNECTION)
def test_what_breaks_the_connection_is_told_and_ends_it(up: Serving, what: str) -> None:
    """With the code that RFC 9113 gives it; the next connection is as good as any."""
    code, sent = _ENDS_THE_CONNECTION[what]
    with Peer(up.address) as peer:
        peer.send(sent)
        assert peer.until_closed() == code, peer.goaway
    with Peer(up.address) as peer:
        assert peer.predict(image_of(5)) == [5]


_ENDS_THE_STREAM: dict[str, tuple[int, Callable[[int], bytes]]] = {
    "a second head": (PROTOCOL_ERROR, lambda it: frame(HEADERS, END_HEADERS, it, block())),
    "a window opened by nothing": (
        PROTOCOL_ERROR,
        lambda it: frame(WINDOW_UPDATE, 0, it, number(0)),
    ),
    "a window opened by too much": (
        FLOW_CONTROL_ERROR,
        lambda it: frame(WINDOW_UPDATE, 0, it, number(2**31 - 1)),
    ),
    "its own priority": (PROTOCOL_ERROR, lambda it: frame(PRIORITY, 0, it, number(it) + _WEIGHT)),
    "half a priority": (FRAME_SIZE_ERROR, lambda it: frame(PRIORITY, 0, it, bytes(4))),
}  # fmt: skip


@pytest.mark.parametrize("what", _ENDS_THE_STREAM)
def test_what_breaks_a_stream_ends_that_stream_alone(peer: Peer, what: str) -> None:
    """With its code, whatever the others are at."""
    code, made = _ENDS_THE_STREAM[what]
    other, stream = peer.begin(), peer.begin()
    peer.send(made(stream))
    assert peer.wait(stream).reset == code
    peer.data(other, SEVEN, last=True)
    assert peer.wait(other).digits == [7]


def test_data_after_the_end_of_a_call_is_refused(peer: Peer) -> None:
    """With STREAM_CLOSED, for that stream alone."""
    stream = peer.ask(SEVEN)
    peer.wait(stream)
    peer.data(stream, b"more")
    peer.until(lambda: peer.answer(stream).reset is not None)
    assert peer.answer(stream).reset == STREAM_CLOSED
    assert peer.predict(image_of(2)) == [2]


@pytest.mark.parametrize("going_back", [False, True])
def test_a_stream_is_never_used_again(peer: Peer, going_back: bool) -> None:
    """Neither its number nor a lower one."""
    stream = peer.stream() if going_back else 0
    last = peer.ask(SEVEN)
    peer.wait(last)
    peer.send(frame(HEADERS, END_HEADERS, stream or last, block()))
    assert peer.until_closed() == STREAM_CLOSED


@pytest.mark.parametrize("bit", [0x01, 0x80])
def test_a_greeting_that_is_none_is_told(up: Serving, bit: int) -> None:
    """At the first wrong byte."""
    with Peer(up.address, greet=False) as peer:
        peer.send(bytes([PREFACE[0] ^ bit]))
        assert peer.until_closed() == PROTOCOL_ERROR


def test_settings_come_first(up: Serving) -> None:
    """Nothing else is looked at before them."""
    with Peer(up.address, greet=False) as peer:
        peer.send(PREFACE, frame(PING, 0, 0, bytes(8)))
        assert peer.until_closed() == PROTOCOL_ERROR


@pytest.mark.parametrize("in_pieces", [False, True])
def test_http_1_is_answered_in_its_own_words(up: Serving, in_pieces: bool) -> None:
    """505, and nothing that HTTP/1 cannot read before or after it."""
    said = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n"
    with Peer(up.address, greet=False) as peer:
        for part in [said[at : at + 1] for at in range(4)] if in_pieces else [said]:
            peer.send(part)
        heard = b""
        while data := peer.socket.recv(1 << 16):
            heard += data
    assert heard.startswith(b"HTTP/1.1 505 ")
    assert heard.endswith(b"\r\n\r\n")


def test_a_head_without_end_is_cut_off(peer: Peer) -> None:
    """A flood of CONTINUATION frames is ended before it fills anything."""
    stream = peer.stream()
    peer.send(frame(HEADERS, 0, stream, b""))
    for _ in range(4000):
        peer.send(frame(CONTINUATION, 0, stream, b"\x00\x01a\x01b" * 20))
    assert peer.until_closed() == CALM


def test_a_table_that_says_much_with_little_is_cut_off(peer: Peer) -> None:
    """A block of one-byte references to a long value is ended before it is unfolded."""
    long = b"\x40\x01a\x7f\xa1\x1e" + b"b" * 4000  # literal, to be remembered
    stream = peer.stream()
    peer.send(frame(HEADERS, END_HEADERS, stream, long + b"\xbe" * 8000))
    assert peer.until_closed() == CALM


def test_thousands_of_settings_in_a_frame_cost_one_look(peer: Peer) -> None:
    """The calls are gone over once, however often a frame says their window."""
    for _ in range(500):
        peer.begin()
    say = settings(window=1) + settings(window=100_000)
    many = (say[9:15] + say[24:30]) * 1300
    for _ in range(20):
        peer.send(frame(SETTINGS, 0, 0, many))
    assert peer.predict(image_of(8)) == [8]


def test_messages_of_nobody_are_refused_with_the_table_kept(peer: Peer) -> None:
    """A stream that is reset for its head has still taught the table what it said."""
    bad = peer.begin([*head(), ("x-taught", "value"), ("connection", "close")])
    assert peer.wait(bad).reset == PROTOCOL_ERROR
    good = peer.ask(message(b""), [*head(), ("x-taught", "value")])
    assert peer.wait(good).status == 3
    assert peer.predict(image_of(6)) == [6]
