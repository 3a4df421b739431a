"""Deliveries and several addresses, as a caller of the client has them."""

import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitserve.client import Delivery, DigitClient, Frame, Predicted, Skipped, SkipReason
from digitserve.client._ledger import Ledger
from digitserve.client._messages import stream_options
from digitserve.v1 import digits_pb2
from support.engines import HeldEngine, InkEngine, image_of
from support.serving import serving, versions_of


def ledger(delivery: Delivery = Delivery.ORDERED, max_in_flight: int = 4) -> Ledger:
    """Empty books."""
    return Ledger(
        stream_options(
            version=None,
            label=None,
            brief=False,
            delivery=delivery,
            max_in_flight=max_in_flight,
            max_age=None,
        )
    )


def test_latest_never_pauses_the_source() -> None:
    """While the engine is held, newer frames supersede older ones, here or at the server."""
    engine = HeldEngine()
    given_all = threading.Event()

    def camera() -> Iterator[Frame]:
        for at in range(200):
            yield Frame(image_of(at % 10), frame_id=str(at))
        given_all.set()
        engine.go.set()

    held = versions_of(engine, inline=False)
    with serving(versions=held) as up, DigitClient(up.address) as client:
        outcomes = list(client.stream(camera(), delivery=Delivery.LATEST, max_in_flight=4))
    assert given_all.is_set()
    assert sorted(outcome.sequence for outcome in outcomes) == list(range(200))
    kinds = [outcome for outcome in outcomes if isinstance(outcome, Skipped)]
    assert len(kinds) > 150
    assert {outcome.reason for outcome in kinds} == {SkipReason.SUPERSEDED}
    last = max(outcomes, key=lambda outcome: outcome.sequence)
    assert isinstance(last, Predicted)


def test_frames_that_are_too_old_come_out_as_skipped() -> None:
    """Their age is the caller's, and what they waited."""
    frames = [Frame(image_of(1), age=0.0), Frame(image_of(2), age=5.0), Frame(image_of(3))]
    with serving(versions=versions_of(InkEngine())) as up, DigitClient(up.address) as client:
        outcomes = list(client.stream(frames, max_age=2.0))
    assert [isinstance(outcome, Skipped) for outcome in outcomes] == [False, True, False]


@pytest.mark.parametrize("call", ["predict", "stream"])
def test_another_address_is_asked_when_one_is_unavailable(call: str) -> None:
    """By a call, and by a stream that never began."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = "{}:{}".format(*free.getsockname())
        with (
            serving(versions=versions_of(InkEngine())) as up,
            DigitClient([nobody, up.address]) as client,
        ):
            if call == "predict":
                assert client.predict(image_of(4)).digit == 4
            else:
                (outcome,) = client.stream([image_of(4)])
                assert isinstance(outcome, Predicted)


@given(
    answered=st.lists(st.booleans(), max_size=30),
    breaks=st.sets(st.integers(0, 30)),
)
def test_whatever_breaks_every_frame_has_one_outcome(
    answered: list[bool], breaks: set[int]
) -> None:
    """The books of a stream that breaks at any points: each frame settles exactly once."""
    books = ledger()
    books.begin()
    settled: list[int] = []
    added = 0
    sent: list[str | None] = []  # on the present call, by sequence; None once answered
    for at, answer in enumerate(answered):
        if at in breaks:
            books.begin()
            sent.clear()
        if books.has_room:
            books.add(Frame(image_of(0), frame_id=str(added)))
            added += 1
        while (request := books.next_request()) is not None:
            sent.append(request.frame.frame_id)
        first = next((index for index, name in enumerate(sent) if name is not None), None)
        if answer and first is not None:
            reply = digits_pb2.StreamPredictResponse(sequence=first, frame_id=sent[first] or "")
            reply.predicted.model_version = 1
            outcome = books.settle(reply)
            assert outcome is not None
            settled.append(outcome.sequence)
            sent[first] = None
    assert len(settled) == len(set(settled))
    assert sorted([*settled, *books.unanswered]) == list(range(added))
