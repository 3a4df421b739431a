"""How calls and connections end: deadlines, cancels, drains, and peers that vanish."""

import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from digitserve.server.transport.http2 import connection
from digitserve.v1 import digits_pb2
from support.engines import HeldEngine, InkEngine, image_of
from support.http2 import (
    CANCEL,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PREDICT,
    PREFACE,
    REFUSED_STREAM,
    RST_STREAM,
    STREAM_PREDICT,
    Peer,
    asking,
    frame,
    head,
    message,
    number,
    settings,
)
from support.serving import Serving, serving, versions_of
from support.talk import frame as image_frame

SEVEN = asking(image_of(7))
_SOON = ("grpc-timeout", "50m")


@pytest.fixture
def engine() -> Iterator[HeldEngine]:
    """Is let go at the end, whatever happens."""
    engine_ = HeldEngine()
    yield engine_
    engine_.go.set()


@pytest.fixture
def held(engine: HeldEngine) -> Iterator[Serving]:
    """A server whose engine, in a thread, answers when it is let go."""
    with serving(versions=versions_of(engine, inline=False)) as up:
        yield up
        engine.go.set()


async def _connections(up: Serving) -> int:
    return len(up.server._server.connections)


def open_calls(up: Serving) -> int:
    """How many calls the server has open, over all connections."""

    async def count() -> int:
        return sum(len(connection.inbox._calls) for connection in up.server._server.connections)

    return up.run(count())


def nothing_left(up: Serving, tasks: int) -> None:
    """Waits until no connection and no task more than these is there."""
    while up.run(_connections(up)) or up.tasks() > tasks:
        pass


# --- deadlines ---------------------------------------------------------------------------------


def test_a_call_ends_at_its_deadline_wherever_it_is(held: Serving, engine: HeldEngine) -> None:
    """Computed, waiting for its turn, half sent or silent; what waited is never computed."""
    with Peer(held.address) as peer, Peer(held.address) as other:
        computed = other.ask(SEVEN)
        assert engine.entered.wait(60)
        waits = peer.ask(SEVEN, head(PREDICT, _SOON))
        half = peer.begin(head(PREDICT, _SOON))
        peer.data(half, SEVEN[:99])
        silent = peer.begin(head(PREDICT, _SOON))
        stream = peer.begin(head(STREAM_PREDICT, _SOON))
        for each in (waits, half, silent, stream):
            assert peer.wait(each).status == 4
        engine.go.set()
        assert other.wait(computed).digits == [7]
        assert peer.predict(image_of(3)) == [3]
    assert engine.images == 2


def test_a_deadline_holds_for_an_answer_that_nobody_takes(up: Serving) -> None:
    """The call is reset, and what waited for a window is let go."""
    with Peer(up.address, window=0) as peer:
        unary = peer.ask(SEVEN, head(PREDICT, _SOON))
        assert peer.wait(unary).reset == CANCEL
        stream = peer.begin(head(STREAM_PREDICT, _SOON))
        peer.data(stream, message(image_frame(image_of(1)).SerializeToString()))
        assert peer.wait(stream).reset == CANCEL
        assert sum(each.outbox.waiting for each in up.server._server.connections) == 0


# --- cancels -----------------------------------------------------------------------------------


def test_a_cancelled_call_is_not_computed(held: Serving, engine: HeldEngine) -> None:
    """Its turn never comes; the others' do."""
    with Peer(held.address) as peer:
        first = peer.ask(SEVEN)
        assert engine.entered.wait(60)
        streams = [peer.ask(SEVEN) for _ in range(20)]
        peer.send(*(frame(RST_STREAM, 0, each, number(CANCEL)) for each in streams[1:]))
        peer.pass_by()
        assert open_calls(held) == 2
        engine.go.set()
        assert peer.wait(first).digits == peer.wait(streams[0]).digits == [7]
    assert engine.images == 2


@pytest.mark.parametrize("path", [PREDICT, STREAM_PREDICT])
def test_rapid_resets_leave_nothing(held: Serving, engine: HeldEngine, path: str) -> None:
    """Ten thousand, begun and reset in one breath; another caller is answered meanwhile."""
    engine.go.set()
    idle = held.tasks()
    body = SEVEN if path == PREDICT else message(image_frame(image_of(1)).SerializeToString())
    with Peer(held.address) as peer, Peer(held.address) as other:
        for at in range(10_000):
            stream = peer.stream()
            peer.send(
                frame(HEADERS, END_HEADERS, stream, peer.block(head(path))),
                frame(DATA, END_STREAM if at % 2 else 0, stream, body) if at % 3 else b"",
                frame(RST_STREAM, 0, stream, number(CANCEL)),
            )
            if at % 1000 == 0:
                assert other.predict(image_of(9)) == [9]
        peer.pass_by()
        assert open_calls(held) == 0
        assert peer.predict(image_of(5)) == [5]
    nothing_left(held, idle)


# --- a crowd -----------------------------------------------------------------------------------


def test_ten_thousand_calls_at_once_hold_nobody_up(up: Serving) -> None:
    """One connection's flood is taken a slice at a time; another's call comes in between."""
    body = SEVEN
    with Peer(up.address, window=1 << 20) as flood, Peer(up.address) as other:
        flood.send(frame(8, 0, 0, number(1 << 30)))
        assert other.predict(image_of(1)) == [1]
        calls = []
        for _ in range(10_000):
            calls.append(flood.stream())
            block = flood.block(head())
            head_ = frame(HEADERS, END_HEADERS, calls[-1], block)
            flood.send(head_, frame(DATA, END_STREAM, calls[-1], body))
            if len(calls) % 1000 == 0:
                assert other.predict(image_of(1)) == [1]
                assert not flood.answers.get(calls[-1])  # which it has not read, of course
        assert {flood.wait(each).status for each in calls} == {0}


def test_calls_over_the_bound_are_refused_for_another_try(held: Serving) -> None:
    """The 1,025th that is open: REFUSED_STREAM, which clients retry."""
    with Peer(held.address) as peer:
        opened = [peer.begin() for _ in range(1024)]
        assert peer.wait(peer.begin()).reset == REFUSED_STREAM
        peer.send(frame(RST_STREAM, 0, opened[0], number(CANCEL)))
        peer.begin()
        peer.pass_by()
        assert open_calls(held) == 1024


# --- drains ------------------------------------------------------------------------------------


def test_a_drain_loses_no_call(engine: HeldEngine) -> None:
    """What was begun is answered to the last byte; what comes later is not begun."""
    with serving(versions=versions_of(engine, inline=False)) as up, Peer(up.address) as peer:
        calls = [peer.ask(SEVEN) for _ in range(50)]
        half = peer.begin()
        peer.data(half, SEVEN[:99])
        assert engine.entered.wait(60)
        peer.pass_by()

        async def refuse() -> None:
            for connection in list(up.server._server.connections):
                connection.refuse()

        up.run(refuse())
        peer.until(lambda: peer.goaway is not None)
        assert peer.goaway == (half, 0, "")
        late = peer.ask(SEVEN)
        assert peer.wait(late).reset == REFUSED_STREAM
        peer.data(half, SEVEN[99:], last=True)
        engine.go.set()
        peer.until_closed()
        assert {peer.answer(each).status for each in (*calls, half)} == {0}


def test_what_a_drained_connection_still_sends_takes_nothing_back(engine: HeldEngine) -> None:
    """Its answers arrive, though it sent on and on, and read nothing until it was over."""
    with serving(versions=versions_of(engine, inline=False)) as up, Peer(up.address) as peer:
        calls = [peer.ask(SEVEN) for _ in range(50)]
        assert engine.entered.wait(60)
        peer.pass_by()

        async def refuse() -> None:
            for connection in list(up.server._server.connections):
                connection.refuse()
            engine.go.set()

        up.run(refuse())
        while open_calls(up):
            peer.send(frame(6, 0, 0, bytes(8)))
        for _ in range(100):
            peer.send(frame(6, 0, 0, bytes(8)))
        peer.until_closed()
        assert {peer.answer(each).status for each in calls} == {0}


def test_an_error_after_a_drain_began_promises_no_more(held: Serving) -> None:
    """The last GOAWAY names no later stream than the first."""
    with Peer(held.address) as peer:
        stream = peer.begin()
        peer.pass_by()

        async def refuse() -> None:
            for connection in list(held.server._server.connections):
                connection.refuse()

        held.run(refuse())
        peer.begin()
        peer.send(frame(6, 0, 0, b"short"))
        assert peer.until_closed() == 6
        assert peer.goaway is not None
        assert peer.goaway[0] == stream


# --- peers that vanish, dawdle or say nothing --------------------------------------------------


def test_a_peer_that_vanishes_takes_its_calls_with_it(held: Serving, engine: HeldEngine) -> None:
    """Closed, half-closed or reset: what waited is not computed, and nothing is left."""
    idle = held.tasks()
    with Peer(held.address) as first:
        first.ask(SEVEN)
        assert engine.entered.wait(60)
        alone = held.tasks()
        for how in range(3):
            with Peer(held.address) as peer:
                for _ in range(10):
                    peer.ask(SEVEN)
                    peer.begin(head(STREAM_PREDICT))
                peer.pass_by()
                if how == 1:
                    peer.socket.shutdown(socket.SHUT_WR)
                    peer.until_closed()
                elif how == 2:
                    linger = struct.pack("ii", 1, 0)
                    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        # A call that is a turn ahead is let go of with its task, a moment after its connection.
        while held.run(_connections(held)) > 1 or held.tasks() > alone:
            pass
        engine.go.set()
    nothing_left(held, idle)
    with Peer(held.address) as last:  # whatever waited for the engine would go before it
        assert last.predict(image_of(1)) == [1]
    assert engine.images == 2


def test_the_last_word_is_heard_by_who_reads_late(
    up: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of answers, then why the connection ends, all of it after the last was sent."""
    monkeypatch.setattr(connection, "_PARTING_S", 60.0)  # this machine may be late for its own
    with Peer(up.address) as peer:
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
        refused, calls = head("/" + "%" * 240), []
        for _ in range(3000):
            calls.append(peer.stream())
            block = peer.block(refused)
            peer.send(frame(HEADERS, END_HEADERS | END_STREAM, calls[-1], block))
        peer.send(frame(6, 0, 0, b"short"), bytes(10_000))
        assert peer.until_closed() == 6
        assert {peer.answer(each).status for each in calls} == {12}


def test_a_connection_that_is_gone_at_once_is_no_error(
    up: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    """Hundreds that are reset before, or while, they are accepted."""
    host, _, port = up.address.rpartition(":")
    for at in range(300):
        gone = socket.create_connection((host, int(port)))
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if at % 2:
            gone.sendall(PREFACE[: at % 30])
        gone.close()
    with Peer(up.address) as peer:
        assert peer.predict(image_of(1)) == [1]
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_server_that_stops_lets_go_of_whoever_says_nothing() -> None:
    """Greeted or not: the stop leaves no connection."""
    with serving(versions=versions_of(InkEngine())) as up:
        with ExitStack() as stack:
            peers = [Peer(up.address, greet=bool(at % 2)) for at in range(20)]
            for peer in peers:
                stack.enter_context(peer)
            while up.run(_connections(up)) < len(peers):
                pass
            up.run(up.server._server.stop())
            for peer in peers:
                peer.until_closed()
        assert not up.server._server.connections


def test_a_slow_sender_gets_the_same_answers(peer: Peer) -> None:
    """A byte a packet, from its second frame to its last."""
    stream = peer.stream()
    sent = settings(window=100_000)
    sent += frame(HEADERS, END_HEADERS, stream, peer.block(head()))
    sent += frame(DATA, END_STREAM, stream, SEVEN)
    for at in range(len(sent)):
        peer.send(sent[at : at + 1])
    assert peer.wait(stream).digits == [7]


def test_a_call_that_never_ends_costs_its_connection_alone(up: Serving) -> None:
    """Without a deadline it stays until its caller, or the connection, goes."""
    idle = up.tasks()
    with Peer(up.address) as peer, Peer(up.address) as other:
        for _ in range(1000):
            peer.data(peer.begin(), SEVEN[:5])
        peer.pass_by()
        assert open_calls(up) == 1000
        assert other.predict(image_of(8)) == [8]
    nothing_left(up, idle)


def test_answers_come_in_the_order_of_a_streams_frames(up: Serving) -> None:
    """Also beside unary calls on the same connection."""
    with Peer(up.address) as peer:
        stream = peer.begin(head(STREAM_PREDICT))
        for at in range(60):
            peer.data(stream, message(image_frame(image_of(at % 10)).SerializeToString()))
            assert peer.predict(image_of(9 - at % 10)) == [9 - at % 10]
        peer.data(stream, last=True)
        said = map(digits_pb2.StreamPredictResponse.FromString, peer.wait(stream).messages)
        assert [each.predicted.predictions[0].digit for each in said] == [
            at % 10 for at in range(60)
        ]
