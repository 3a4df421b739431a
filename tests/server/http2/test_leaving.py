"""A drain, byte by byte: who was let in has the grace to say all, and to hear all."""

import asyncio
from concurrent.futures import Future
from dataclasses import replace

import pytest

from digitserve.server import app
from support.engines import HeldEngine, InkEngine, image_of
from support.http2 import STREAM_PREDICT, WINDOW_UPDATE, Peer, asking, frame, head, message, number
from support.serving import TEST_CONFIG, Serving, serving, versions_of

SEVEN = asking(image_of(7))
SHORT = replace(TEST_CONFIG, grace_s=0.05)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a drain does not wait for is cut before it could end by luck."""
    monkeypatch.setattr(app, "_LAST_WORDS_S", 0.0)


def draining(up: Serving, peer: Peer) -> "Future[bool]":
    """Begins a drain; the peer has heard of it, and the server has gone on since."""
    drain = asyncio.run_coroutine_threadsafe(up.server.drain(0.0), up.loop)
    peer.until(lambda: peer.goaway is not None)
    peer.pass_by()
    return drain


def test_an_answer_waits_for_the_callers_window() -> None:
    """It was computed before the drain, and nobody took it yet."""
    with serving(versions=versions_of(InkEngine())) as up, Peer(up.address, window=0) as peer:
        stream = peer.ask(SEVEN)
        peer.pass_by()
        drain = draining(up, peer)
        peer.send(frame(WINDOW_UPDATE, 0, stream, number(1000)))
        assert peer.wait(stream).digits == [7]
        assert drain.result(timeout=60) is True


def test_an_upload_that_was_let_in_may_end() -> None:
    """GOAWAY named its stream as taken."""
    with serving(versions=versions_of(InkEngine())) as up, Peer(up.address) as peer:
        stream = peer.begin()
        peer.data(stream, SEVEN[:400])
        peer.pass_by()
        drain = draining(up, peer)
        assert peer.goaway == (stream, 0, "")
        peer.data(stream, SEVEN[400:], last=True)
        assert peer.wait(stream).digits == [7]
        assert drain.result(timeout=60) is True


def test_a_call_that_takes_longer_than_the_grace_is_cut_and_told_of() -> None:
    """So the drain was not clean, whatever kind of call it was."""
    engine = HeldEngine()
    with serving(SHORT, versions_of(engine, inline=False)) as up, Peer(up.address) as peer:
        peer.ask(SEVEN)
        assert engine.entered.wait(timeout=60)
        assert up.run(up.server.drain(0.0)) is False
        engine.go.set()


@pytest.mark.parametrize("said", [b"", SEVEN[:400]])
def test_a_call_that_is_never_said_to_its_end_is_cut_and_told_of(said: bytes) -> None:
    """It had the grace to come."""
    with serving(SHORT, versions_of(InkEngine())) as up, Peer(up.address) as peer:
        peer.data(peer.begin(), said)
        peer.pass_by()
        assert up.run(up.server.drain(0.0)) is False


def test_an_answer_that_is_never_taken_is_cut_and_told_of() -> None:
    """It had the grace to be."""
    with serving(SHORT, versions_of(InkEngine())) as up, Peer(up.address, window=0) as peer:
        peer.ask(SEVEN)
        peer.pass_by()
        assert up.run(up.server.drain(0.0)) is False


def test_a_stream_that_ended_before_is_not_told_of() -> None:
    """Nor a connection that nobody calls on, nor a watch of health."""
    with serving(versions=versions_of(InkEngine())) as up, Peer(up.address) as peer:
        peer.wait(stream := peer.begin(head("/no/such")))
        peer.data(ended := peer.begin(head(STREAM_PREDICT)), last=True)
        assert (peer.answer(stream).status, peer.wait(ended).status) == (12, 0)
        watch = peer.ask(message(b""), head("/grpc.health.v1.Health/Watch"))
        peer.pass_by()
        assert up.run(asyncio.wait_for(up.server.drain(0.0), TEST_CONFIG.grace_s / 2)) is True
        peer.until_closed()
        assert peer.answer(watch).status == 14
