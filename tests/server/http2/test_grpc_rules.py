"""gRPC: heads, messages and their compression, as a caller may send them and as none should."""

import gzip
import zlib

import pytest

from digitserve.v1 import digits_pb2
from support.engines import InkEngine, image_of
from support.http2 import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PREDICT,
    PROTOCOL_ERROR,
    STREAM_PREDICT,
    Answer,
    Peer,
    asking,
    frame,
    head,
    message,
)
from support.serving import Serving, serving, versions_of
from support.talk import frame as image_frame
from support.talk import reason_of

OK, INVALID, EXHAUSTED, UNIMPLEMENTED = 0, 3, 8, 12
SEVEN = asking(image_of(7))
_SEVEN = SEVEN[5:]


def packed(peer: Peer, encoding: str, body: bytes, *, path: str = PREDICT) -> Answer:
    """What comes of a call with this compressed message."""
    return peer.wait(peer.ask(message(body, packed=1), head(path, ("grpc-encoding", encoding))))


# --- messages ----------------------------------------------------------------------------------

_BODIES = {
    "none": (INVALID, b""),
    "half a prefix": (INVALID, b"\x00\x00"),
    "a prefix alone": (INVALID, b"\x00\x00\x00\x00\x05"),
    "half of one": (INVALID, SEVEN[:-1]),
    "one and half of another": (INVALID, SEVEN + SEVEN[:9]),
    "two": (INVALID, SEVEN * 2),
    "no message": (INVALID, message(b"\xff\xff\xff")),
    "an empty one": (INVALID, message(b"")),
    "one that is said to be huge": (EXHAUSTED, b"\x00\xff\xff\xff\xff" + _SEVEN),
    "one that is a byte too long": (EXHAUSTED, b"\x00\x00\x40\x00\x01" + _SEVEN),
    "one that is said to be compressed": (INVALID, message(_SEVEN, packed=1)),
    "one with a flag that is none": (INVALID, message(_SEVEN, packed=7)),
}


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("what", _BODIES)
def test_a_call_of_one_message_takes_just_one(peer: Peer, what: str, cut: bool) -> None:
    """Whatever else comes is the caller's fault, in one frame or a byte at a time."""
    status, body = _BODIES[what]
    parts = [body[at : at + 1] for at in range(len(body))] if cut else [body]
    stream = peer.begin()
    for part in parts:
        peer.data(stream, part)
    peer.data(stream, last=True)
    assert peer.wait(stream).status == status
    assert peer.predict(image_of(2)) == [2]


def test_calls_that_went_wrong_hold_nothing(up: Serving) -> None:
    """What is kept of messages is given back, however the call ended."""
    with Peer(up.address) as peer:
        for _ in range(50):
            for body in (SEVEN * 2 + SEVEN[:99], SEVEN + SEVEN[:9], SEVEN[:300]):
                stream = peer.begin()
                peer.data(stream, body)
                peer.data(stream, last=True)
                assert peer.wait(stream).status == INVALID
        stream = peer.begin()
        peer.data(stream, SEVEN[:300])
        peer.pass_by()
        (held,) = {connection.inbox.held for connection in up.server._server.connections} - {0}
        assert held == 300
        peer.data(stream, SEVEN[300:], last=True)
        assert peer.wait(stream).digits == [7]
        assert {connection.inbox.held for connection in up.server._server.connections} == {0}


def test_unfinished_messages_are_bounded_over_a_connection() -> None:
    """The calls that would keep more than four of the longest are refused; the others go on."""
    with serving(versions=versions_of(InkEngine())) as up:
        up.server._server.max_message_bytes = 2000
        with Peer(up.address) as peer:
            streams = [peer.begin() for _ in range(12)]
            for stream in streams:
                peer.data(stream, SEVEN[:-1])
            for stream in streams:
                peer.data(stream, SEVEN[-1:], last=True)
            said = [peer.wait(stream).status for stream in streams]
            assert said == [OK] * 10 + [EXHAUSTED] * 2


def test_a_stream_tells_which_message_was_none(peer: Peer) -> None:
    """One that breaks off at the end fails as any other garbage does: by itself."""
    one = message(image_frame(image_of(7)).SerializeToString())
    stream = peer.begin(head(STREAM_PREDICT))
    peer.data(stream, one + message(b"\xff") + one + one[:50], last=True)
    answer = peer.wait(stream)
    said = [digits_pb2.StreamPredictResponse.FromString(each) for each in answer.messages]
    outcomes = [each.WhichOneof("outcome") for each in said]
    assert outcomes == ["predicted", "failed", "predicted", "failed"]
    assert answer.status == OK


# --- compression -------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_compressed_messages_are_read(peer: Peer, encoding: str) -> None:
    """By either of gRPC's encodings; answers come as they are."""
    pack = gzip.compress if encoding == "gzip" else zlib.compress
    assert packed(peer, encoding, pack(_SEVEN)).digits == [7]
    plain = peer.ask(SEVEN, head(PREDICT, ("grpc-encoding", encoding)))
    assert peer.wait(plain).digits == [7]


_PACKED = gzip.compress(_SEVEN)
# Empty, nothing of the kind, or broken off.
_NOT_PACKED = (
    b"",
    b"no gzip",
    _PACKED[:-1],
    _PACKED[:20],
    _PACKED[:9] + b"\xff" + _PACKED[10:30],
)


def test_what_cannot_be_unpacked_is_the_callers_fault(peer: Peer) -> None:
    """Nor may there be a compression that was not named."""
    for body in _NOT_PACKED:
        assert packed(peer, "gzip", body).status == INVALID
    assert packed(peer, "identity", _PACKED).status == INVALID


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_a_frame_that_cannot_be_unpacked_fails_alone(peer: Peer, encoding: str) -> None:
    """It is no message, as any other garbage; what is before and behind it is answered."""
    one = message(image_frame(image_of(7)).SerializeToString())
    bad = [message(body, packed=1) for body in (_NOT_PACKED if encoding == "gzip" else [_PACKED])]
    stream = peer.begin(head(STREAM_PREDICT, ("grpc-encoding", encoding)))
    peer.data(stream, one + b"".join(bad) + one, last=True)
    answer = peer.wait(stream)
    said = [digits_pb2.StreamPredictResponse.FromString(each) for each in answer.messages]
    outcomes = [each.WhichOneof("outcome") for each in said]
    assert outcomes == ["predicted", *["failed"] * len(bad), "predicted"]
    assert {reason_of(each.failed) for each in said[1:-1]} == {"NOT_A_MESSAGE"}
    assert answer.status == OK


@pytest.mark.parametrize("path", [PREDICT, STREAM_PREDICT])
def test_a_compression_that_nobody_knows_is_refused(peer: Peer, path: str) -> None:
    """Of a stream too: none of it could be read."""
    assert packed(peer, "snappy", _PACKED, path=path).status == UNIMPLEMENTED


@pytest.mark.parametrize("path", [PREDICT, STREAM_PREDICT])
def test_what_unpacks_to_more_than_may_come_ends_the_call(peer: Peer, path: str) -> None:
    """A stream too, as what is too long before it is unpacked, and as in gRPC itself."""
    bomb = gzip.compress(bytes(200 << 20), 9, mtime=0)
    stream = peer.begin(head(path, ("grpc-encoding", "gzip")))
    whole = message(bomb[: len(bomb)], packed=1)
    for at in range(0, len(whole), 16_384):
        peer.data(stream, whole[at : at + 16_384], last=at + 16_384 >= len(whole))
        peer.pass_by()
    assert peer.wait(stream).status == EXHAUSTED
    assert peer.predict(image_of(2)) == [2]


def test_messages_that_wait_are_kept_as_they_came(up: Serving) -> None:
    """A window full of bombs takes no more room than the window."""
    bomb = message(gzip.compress(bytes(4 << 20), 9, mtime=0), packed=1)
    with Peer(up.address, window=0) as peer:
        stream = peer.begin(head(STREAM_PREDICT, ("grpc-encoding", "gzip")))
        for part in (*[message(b"")] * 70, *[bomb] * 7):  # 64 are read, and none is answered
            peer.data(stream, part)
        peer.pass_by()
        assert 7 * len(bomb) - 100 < up.run(_kept(up)) < 65_536


async def _kept(up: Serving) -> int:
    """Bytes of messages that no handler has read."""
    calls = [call for each in up.server._server.connections for call in each.inbox._calls.values()]
    return sum(len(message) for call in calls for message in call._messages)


# --- heads -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said", ["99999999H", "1H", "10M", "60S", "60000m", "60000000u", "99999999u", "00000060S"]
)
def test_timeouts_of_every_unit_leave_time(peer: Peer, said: str) -> None:
    """Also one of eleven thousand years."""
    assert peer.wait(peer.ask(SEVEN, head(PREDICT, ("grpc-timeout", said)))).digits == [7]


@pytest.mark.parametrize("said", ["0H", "0S", "0m", "0n", "1n", "999n"])
def test_no_time_is_no_answer(peer: Peer, said: str) -> None:
    """DEADLINE_EXCEEDED."""
    assert peer.wait(peer.ask(SEVEN, head(PREDICT, ("grpc-timeout", said)))).status == 4


@pytest.mark.parametrize("said", ["1", "S", "1s", "-1S", "1.5S", "123456789S", " 1S", "1SS", "٣S"])
def test_a_timeout_that_is_none_is_malformed(peer: Peer, said: str) -> None:
    """The stream is reset; the next call is as good as any."""
    answer = peer.wait(peer.begin(head(PREDICT, ("grpc-timeout", said))))
    assert answer.reset == PROTOCOL_ERROR
    assert peer.predict(image_of(2)) == [2]


@pytest.mark.parametrize(
    "pair",
    [
        ("Upper", "x"),
        ("connection", "close"),
        ("transfer-encoding", "chunked"),
        ("te", "gzip"),
        ("x", "a\nb"),
        ("x", "a\0b"),
        ("", "x"),
        (":path", "/again"),
        (":status", "200"),
        ("content-length", "x"),
        ("content-length", "-1"),
        ("content-length", "9" * 5000),
        ("content-length", "²"),
    ],
)
def test_a_head_that_is_none_is_malformed(peer: Peer, pair: tuple[str, str]) -> None:
    """The stream is reset; the next call is as good as any."""
    assert peer.wait(peer.begin([*head(), pair])).reset == PROTOCOL_ERROR
    assert peer.predict(image_of(2)) == [2]


@pytest.mark.parametrize("name", [":method", ":scheme", ":path"])
def test_a_head_without_its_first_words_is_malformed(peer: Peer, name: str) -> None:
    """Each has to be there."""
    assert peer.wait(peer.begin(head(without=name))).reset == PROTOCOL_ERROR


@pytest.mark.parametrize(("said", "code"), [(0, None), (-1, PROTOCOL_ERROR), (1, PROTOCOL_ERROR)])
def test_a_content_length_has_to_hold(peer: Peer, said: int, code: int | None) -> None:
    """Neither more nor less may come."""
    length = str(len(SEVEN) + said)
    answer = peer.wait(peer.ask(SEVEN, head(PREDICT, ("content-length", length))))
    assert answer.reset == code


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/grpc", None),
        ("application/grpc+proto", None),
        ("application/grpc;charset=utf-8", None),
        ("application/grpcweb", "415"),
        ("application/json", "415"),
        ("", "415"),
    ],
)
def test_what_is_not_grpc_is_told_by_http(peer: Peer, kind: str, status: str | None) -> None:
    """Once all of it is there, however much that is."""
    stream = peer.begin([*head(without="content-type"), ("content-type", kind)])
    peer.data(stream, SEVEN)
    if status:
        for _ in range(40):
            peer.data(stream, bytes(10_000))
            peer.pass_by()
    peer.data(stream, last=True)
    answer = peer.wait(stream)
    if status is None:
        assert answer.digits == [7]
    else:
        assert answer.heads[0][":status"] == status


def test_another_http_method_is_told_by_http(peer: Peer) -> None:
    """405."""
    stream = peer.begin([(":method", "GET"), *head(without=":method")], END_HEADERS | END_STREAM)
    assert peer.wait(stream).heads[0][":status"] == "405"


@pytest.mark.parametrize(
    "path", ["/", "x", "/digitserve.v1.DigitService/predict", "/a/b/c", "/%00", "/é" * 2000]
)
def test_an_unknown_method_is_unimplemented(peer: Peer, path: str) -> None:
    """Whatever it is called; what is said of it stays short."""
    answer = peer.wait(peer.ask(SEVEN, head(path)))
    assert answer.status == UNIMPLEMENTED
    assert sum(map(len, answer.heads[-1].values())) < 6000


@pytest.mark.parametrize("size", [15_000, 17_000, 60_000])
def test_metadata_has_a_bound(up: Serving, size: int) -> None:
    """What is a little too long is refused politely, what is much too long is not read."""
    with Peer(up.address) as peer:
        pairs = head(PREDICT, *((f"x-{at}", "~" * 990) for at in range(size // 1000)))
        block, stream = peer.block(pairs), peer.stream()
        parts = [block[at : at + 16_000] for at in range(0, len(block), 16_000)]
        peer.send(frame(HEADERS, END_HEADERS if len(parts) == 1 else 0, stream, parts[0]))
        for part in parts[1:]:
            peer.send(frame(9, END_HEADERS if part is parts[-1] else 0, stream, part))
        peer.send(frame(DATA, END_STREAM, stream, SEVEN))
        answer = peer.wait(stream)
        assert answer.status == {15_000: OK, 17_000: EXHAUSTED, 60_000: None}[size]
        assert peer.goaway is None or peer.goaway[1] == 11


def test_binary_metadata_is_let_through(peer: Peer) -> None:
    """Padded, not padded, several in one, or no base64 at all: nobody here reads it."""
    for said in ("AAEC", "AA==", "AA", "AA,AQ", "!!", ""):
        assert peer.wait(peer.ask(SEVEN, head(PREDICT, ("x-some-bin", said)))).digits == [7]
