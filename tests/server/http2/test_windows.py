"""Windows, both ways: nobody gets more than he takes, and all of it in the end."""

import socket

import pytest

from digitserve.v1 import digits_pb2
from support.engines import image_of
from support.http2 import (
    CALM,
    DATA,
    END_HEADERS,
    END_STREAM,
    FLOW_CONTROL_ERROR,
    HEADERS,
    PING,
    STREAM_PREDICT,
    WINDOW_UPDATE,
    Peer,
    asking,
    frame,
    head,
    message,
    number,
    settings,
)
from support.serving import Serving
from support.talk import frame as image_frame

_MANY = 1024


def many() -> bytes:
    """A `Predict` of as many images as a message may hold: a body of fifty frames."""
    pixels = b"".join(image_of(at % 10) for at in range(_MANY))
    return message(digits_pb2.PredictRequest(pixels=pixels, count=_MANY).SerializeToString())


def upload(peer: Peer, stream: int, body: bytes) -> None:
    """Sends a body as fast as the server's windows let through."""
    peer.until(lambda: bool(peer.settings))
    at = 0
    while at < len(body):
        peer.until(lambda at=at: peer.settings[4] + peer.answer(stream).opened > at)  # type: ignore[misc]
        room = peer.settings[4] + peer.answer(stream).opened - at
        size = min(room, 16_384, len(body) - at)
        peer.data(stream, body[at : at + size], last=at + size == len(body))
        at += size


def test_a_long_message_comes_and_goes_in_many_frames(peer: Peer) -> None:
    """A thousand images up; their answers down, in frames no longer than the peer takes."""
    peer.send(frame(WINDOW_UPDATE, 0, 0, number(1 << 20)), settings(window=1 << 20))
    stream = peer.begin()
    upload(peer, stream, many())
    answer = peer.wait(stream)
    assert answer.digits == [at % 10 for at in range(_MANY)]
    assert max(answer.sizes) == 16_384


def test_frames_grow_with_what_the_peer_takes(up: Serving) -> None:
    """One frame for all, if it says so."""
    with Peer(up.address, window=1 << 20, frame_size=1 << 20) as peer:
        peer.send(frame(WINDOW_UPDATE, 0, 0, number(1 << 20)))
        stream = peer.begin()
        upload(peer, stream, many())
        assert len(peer.wait(stream).sizes) == 1


def test_a_window_may_be_opened_byte_by_byte(up: Serving) -> None:
    """A byte a frame: the same answer."""
    with Peer(up.address, window=0) as peer:
        stream = peer.ask(asking(image_of(7)))
        peer.pass_by()
        assert peer.answer(stream).body == b""
        while not peer.answer(stream).over:
            peer.send(frame(WINDOW_UPDATE, 0, stream, number(1)))
            peer.pass_by()
        assert peer.answer(stream).digits == [7]
        assert set(peer.answer(stream).sizes) == {1}


def test_a_window_below_nothing_is_opened_from_there(up: Serving) -> None:
    """SETTINGS take back what was given; nothing comes until that is made good."""
    with Peer(up.address, window=20) as peer:
        stream = peer.ask(asking(image_of(7)))
        peer.until(lambda: len(peer.answer(stream).body) == 20)
        peer.send(settings(window=0), frame(WINDOW_UPDATE, 0, stream, number(19)))
        peer.send(frame(WINDOW_UPDATE, 0, stream, number(1)))
        peer.pass_by()
        assert len(peer.answer(stream).body) == 20
        peer.send(settings(window=1000))
        assert peer.wait(stream).digits == [7]


def test_settings_open_every_window_at_once(up: Serving) -> None:
    """A hundred answers that waited go together; and those that come later."""
    with Peer(up.address, window=0) as peer:
        streams = [peer.ask(asking(image_of(at % 10))) for at in range(100)]
        peer.pass_by()
        assert not any(peer.answer(stream).body for stream in streams)
        peer.send(settings(window=65_535))
        assert [peer.wait(stream).digits for stream in streams] == [[at % 10] for at in range(100)]
        assert peer.predict(image_of(3)) == [3]


def test_settings_that_open_a_window_too_far_end_the_connection(up: Serving) -> None:
    """It would be more than a window holds."""
    with Peer(up.address, window=0) as peer:
        stream = peer.begin()
        peer.send(frame(WINDOW_UPDATE, 0, stream, number(2**31 - 1)), settings(window=1))
        assert peer.until_closed() == FLOW_CONTROL_ERROR


def test_the_connections_window_holds_for_all_calls(up: Serving) -> None:
    """65,535 bytes over all answers; then as many as it is opened by."""
    with Peer(up.address, window=1 << 20) as peer:
        streams = [peer.begin() for _ in range(2)]
        for stream in streams:
            upload(peer, stream, many())
        peer.until(lambda: sum(len(peer.answer(stream).body) for stream in streams) == 65_535)
        peer.send(frame(WINDOW_UPDATE, 0, 0, number(1000)))
        peer.pass_by()
        assert sum(len(peer.answer(stream).body) for stream in streams) == 66_535
        peer.send(frame(WINDOW_UPDATE, 0, 0, number(1 << 20)))
        for stream in streams:
            assert peer.wait(stream).digits == [at % 10 for at in range(_MANY)]


def test_who_sends_more_than_the_window_is_cut_off(peer: Peer) -> None:
    """A stream that its handler does not read yet takes no more than 64 KB."""
    peer.send(settings(window=0))  # its first answer is never taken
    stream = peer.begin(head(STREAM_PREDICT))
    one = message(image_frame(image_of(1)).SerializeToString())
    data = frame(DATA, 0, stream, one)
    for _ in range(1000):
        peer.send(data)
    assert peer.wait(stream).reset == FLOW_CONTROL_ERROR
    peer.send(settings(window=65_535))
    assert peer.predict(image_of(2)) == [2]


def test_a_stream_that_is_read_goes_on_for_ever(peer: Peer) -> None:
    """Many times its window, one frame at a time."""
    peer.send(frame(WINDOW_UPDATE, 0, 0, number(1 << 24)), settings(window=1 << 24))
    stream = peer.begin(head(STREAM_PREDICT))
    for at in range(300):
        one = image_frame(image_of(at % 10)).SerializeToString()
        peer.data(stream, message(one))
        peer.until(lambda at=at: len(peer.answer(stream).messages) > at)  # type: ignore[misc]
    peer.data(stream, last=True)
    answer = peer.wait(stream)
    said = [digits_pb2.StreamPredictResponse.FromString(each) for each in answer.messages]
    assert [each.predicted.predictions[0].digit for each in said] == [at % 10 for at in range(300)]
    assert answer.status == 0


def test_the_connections_window_opens_whoever_reads(peer: Peer) -> None:
    """Also for bytes that nobody wants: they cost the other calls nothing."""
    refused = peer.begin(head("/no/such"))
    assert peer.wait(refused).status == 12
    for _ in range(400):
        peer.data(refused, bytes(16_384))
    peer.pass_by()
    assert peer.opened > 6_000_000
    assert peer.predict(image_of(9)) == [9]


def test_answers_that_nobody_takes_are_bounded(up: Serving) -> None:
    """A caller who opens no window loses the calls that are too many; others go on."""
    with Peer(up.address, window=0) as peer:
        body = many()
        peer.until(lambda: bool(peer.settings))
        streams: list[int] = []
        while not any(peer.answer(each).reset for each in streams):
            streams.append(peer.begin())
            upload(peer, streams[-1], body)
            assert len(streams) < 400
        peer.pass_by()
        assert {peer.answer(each).reset for each in streams} == {None, CALM}
        kept = sum(connection.outbox.waiting for connection in up.server._server.connections)
        assert kept < 18_000_000
        peer.send(settings(window=1 << 20), frame(WINDOW_UPDATE, 0, 0, number(1 << 30)))
        assert peer.wait(streams[0]).digits == [at % 10 for at in range(_MANY)]


@pytest.mark.parametrize("what", ["calls", "pings"])
def test_a_peer_that_never_reads_stops_only_itself(up: Serving, what: str) -> None:
    """Answers are made for as long as somebody takes them; another caller sees nothing of it."""
    with Peer(up.address) as deaf, Peer(up.address) as peer:
        deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
        refused = head("/" + "%" * 240)
        for _ in range(3):  # from here on the table has all of it
            deaf.wait(deaf.begin(refused, END_HEADERS | END_STREAM))
        deaf.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            _flood(deaf, refused if what == "calls" else None)
        assert peer.predict(image_of(1)) == [1]
        assert max(up.run(_unwritten(up))) < 2_000_000


def _flood(peer: Peer, pairs: list[tuple[str, str]] | None) -> None:
    """Sends calls, or pings, until there is no room for more."""
    while True:
        if pairs is None:
            peer.send(frame(PING, 0, 0, bytes(8)) * 1000)
        else:
            peer.send(*[_call(peer, pairs) for _ in range(1000)])


def _call(peer: Peer, pairs: list[tuple[str, str]]) -> bytes:
    return frame(HEADERS, END_HEADERS | END_STREAM, peer.stream(), peer.block(pairs))


async def _unwritten(up: Serving) -> list[int]:
    """Bytes that each connection's socket has not taken."""
    connections = up.server._server.connections
    return [connection._transport.get_write_buffer_size() for connection in connections]
