"""ORDERED, UNORDERED and LATEST: which frame is answered when; the counts always add up."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from hypothesis import given
from hypothesis import strategies as st

from digitserve.v1 import digits_pb2
from support.engines import HeldEngine, InkEngine, image_of
from support.serving import TEST_CONFIG, Serving, serving, versions_of
from support.talk import Request, Response, Talking, frame, reason_of

ORDERED = digits_pb2.DELIVERY_ORDERED
UNORDERED = digits_pb2.DELIVERY_UNORDERED
LATEST = digits_pb2.DELIVERY_LATEST
SUPERSEDED = digits_pb2.Skip.REASON_SUPERSEDED
EXPIRED = digits_pb2.Skip.REASON_EXPIRED


def opening(delivery: int, **options: Any) -> Request:
    """A first message with options alone."""
    return Request(options=digits_pb2.StreamOptions(delivery=delivery, **options))  # type: ignore[arg-type]


def test_unordered_failures_do_not_wait_for_the_engine() -> None:
    """What has its outcome is written at once, while an earlier frame is still being computed."""
    engine = HeldEngine()

    async def scenario(up: Serving) -> None:
        async with Talking(up) as server:
            talk = server.talk()
            await talk.say(opening(UNORDERED), frame(image_of(4)), frame(b""))
            bad = await talk.hear()
            assert (bad.sequence, reason_of(bad.failed)) == (2, "PIXELS_LENGTH")
            engine.go.set()
            assert (await talk.hear()).sequence == 1
            assert await talk.end() == ([], grpc.StatusCode.OK)

    with serving(versions=versions_of(engine, inline=False)) as up:
        asyncio.run(scenario(up))


def test_latest_supersedes_what_waits() -> None:
    """While one frame is computed, at most one waits; each that a newer one replaces is skipped."""
    engine = HeldEngine()

    async def scenario(up: Serving) -> None:
        async with Talking(up) as server:
            talk = server.talk()
            await talk.say(opening(LATEST), frame(image_of(0)))
            assert await asyncio.to_thread(engine.entered.wait, 10)
            await talk.say(*(frame(image_of(at), frame_id=str(at)) for at in range(1, 6)))
            for at in range(1, 5):
                skipped = await talk.hear()
                assert (skipped.frame_id, skipped.skipped.reason) == (str(at), SUPERSEDED)
            engine.go.set()
            first, last = await talk.hear(), await talk.hear()
            assert [each.predicted.predictions[0].digit for each in (first, last)] == [0, 5]
            assert await talk.end() == ([], grpc.StatusCode.OK)
        assert engine.batches == [1, 1]

    with serving(versions=versions_of(engine, inline=False)) as up:
        asyncio.run(scenario(up))


def test_a_frame_of_several_images_is_superseded_whole() -> None:
    """All its images, with one outcome."""
    engine = HeldEngine()
    three = frame(image_of(1) * 3, count=3, frame_id="three")

    async def scenario(up: Serving) -> None:
        async with Talking(up) as server:
            talk = server.talk()
            await talk.say(opening(LATEST), frame(image_of(0)))
            assert await asyncio.to_thread(engine.entered.wait, 10)
            await talk.say(three, frame(image_of(2)))
            skipped = await talk.hear()
            assert (skipped.frame_id, skipped.skipped.reason) == ("three", SUPERSEDED)
            engine.go.set()
            replies, _ = await talk.end()
            assert [each.predicted.predictions[0].digit for each in replies] == [0, 2]
        assert engine.images == 2

    with serving(versions=versions_of(engine, inline=False)) as up:
        asyncio.run(scenario(up))


def test_a_frame_older_than_its_stream_allows_is_skipped() -> None:
    """Its age is what the sender says plus what it waited here; it is not computed."""
    engine = InkEngine()
    second = {"seconds": 1}
    messages = [
        opening(ORDERED, max_age=second),
        frame(image_of(1), age_us=999_000),
        frame(image_of(2), age_us=1_000_001),
        frame(image_of(3)),
    ]
    with serving(versions=versions_of(engine)) as up, up.digits() as stub:
        engine.batches.clear()
        replies = list(stub.StreamPredict(iter(messages)))
    outcomes = [reply.WhichOneof("outcome") for reply in replies]
    assert outcomes == ["predicted", "skipped", "predicted"]
    assert replies[1].skipped.reason == EXPIRED
    assert engine.images == 2


def test_what_expires_makes_room() -> None:
    """Frames that grow old while the engine is held are answered then, and others are read."""
    engine = HeldEngine()
    options = opening(UNORDERED, max_age={"seconds": 60}, max_in_flight_frames=4)
    old = frame(image_of(1), age_us=59_990_000)

    async def scenario(up: Serving) -> None:
        async with Talking(up) as server:
            talk = server.talk()
            await talk.say(options, frame(image_of(0)))
            assert await asyncio.to_thread(engine.entered.wait, 10)
            await talk.say(*[old] * 14)
            for _ in range(14):
                assert (await talk.hear()).skipped.reason == EXPIRED
            engine.go.set()
            assert len((await talk.end())[0]) == 1

    with serving(versions=versions_of(engine, inline=False)) as up:
        asyncio.run(scenario(up))


_servers: list[Serving] = []


@pytest.fixture(scope="module", autouse=True)
def _ink_server() -> Iterator[None]:
    """A server for `@given` tests, which may not have fixtures of their own."""
    with serving(versions=versions_of(InkEngine(), inline=False)) as up:
        _servers.append(up)
        yield
        _servers.clear()


KINDS = {
    "good": frame(image_of(7)),
    "several": frame(image_of(7) * 5, count=5),
    "bad": frame(b"short"),
    "old": frame(image_of(7), age_us=2_000_000),
    "late": frame(image_of(7), timeout_us=1),
    "empty": Request(),
}


@given(
    delivery=st.sampled_from([ORDERED, UNORDERED, LATEST]),
    kinds=st.lists(st.sampled_from(sorted(KINDS)), max_size=60),
    window=st.integers(2, 70),
)
def test_counts_always_add_up(delivery: int, kinds: list[str], window: int) -> None:
    """Sent = predicted + failed + skipped, each message exactly once, whatever is sent."""
    options = opening(delivery, max_in_flight_frames=window, max_age={"seconds": 1})
    messages = [options, *(KINDS[kind] for kind in kinds)]
    with _servers[0].digits() as stub:
        replies: list[Response] = list(stub.StreamPredict(iter(messages), timeout=20))
    sequences = [reply.sequence for reply in replies]
    assert sorted(sequences) == list(range(1, len(kinds) + 1))
    if delivery == ORDERED:
        assert sequences == sorted(sequences)
    for reply in replies:
        kind, outcome = kinds[reply.sequence - 1], reply.WhichOneof("outcome")
        if kind in {"bad", "empty"}:
            assert outcome == "failed"
        elif kind == "old":
            assert outcome == "skipped"
        elif delivery != LATEST and kind != "late":
            assert outcome == "predicted"


def test_counts_add_up_while_other_streams_are_cancelled() -> None:
    """Twenty callers vanish in the middle of theirs; ours misses nothing."""
    engine = HeldEngine()
    with serving(versions=versions_of(engine, inline=False)) as up, up.digits() as stub:
        others = [
            stub.StreamPredict(iter([frame(image_of(1)) for _ in range(50)])) for _ in range(20)
        ]
        ours = stub.StreamPredict(iter([frame(image_of(at % 10)) for at in range(60)]), timeout=20)
        while sum(stream.messages for stream in up.server.streams) < 21 * 50:
            up.tasks()
        for other in others:
            other.cancel()
        engine.go.set()
        digits = [reply.predicted.predictions[0].digit for reply in ours]
    assert digits == [at % 10 for at in range(60)]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (opening(LATEST, max_in_flight_frames=1), "OPTIONS_CONTRADICT"),
        (opening(ORDERED, max_age={"seconds": 0}), "MAX_AGE_RANGE"),
        (opening(ORDERED, max_age={"seconds": -1}), "MAX_AGE_RANGE"),
        (opening(ORDERED, max_age={"seconds": -(10**15)}), "MAX_AGE_RANGE"),
    ],
)
def test_contradictory_options_end_the_stream(
    serving: Serving, options: Request, reason: str
) -> None:
    """INVALID_ARGUMENT, naming the field."""
    with serving.digits() as stub, pytest.raises(grpc.RpcError) as raised:
        list(stub.StreamPredict(iter([options])))
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert reason_of(rpc_status.from_call(raised.value)) == reason


def test_the_same_name_twice_is_nobodys_business(serving: Serving) -> None:
    """`frame_id` is echoed, never read; `sequence` tells them apart."""
    with serving.digits() as stub:
        replies = list(stub.StreamPredict(iter([frame(frame_id="a"), frame(frame_id="a")])))
    assert [(reply.sequence, reply.frame_id) for reply in replies] == [(0, "a"), (1, "a")]


def test_a_full_queue_refuses_calls_and_makes_streams_wait() -> None:
    """RESOURCE_EXHAUSTED with RetryInfo and pushback at once; the stream's frame is answered."""
    engine = HeldEngine()
    config = replace(TEST_CONFIG, max_queue_images=4)
    with serving(config, versions_of(engine, inline=False)) as up, up.digits() as stub:
        stream = stub.StreamPredict(iter([frame(image_of(at)) for at in range(8)]), timeout=20)
        assert engine.entered.wait(timeout=10)
        (open_,) = up.server.streams
        while open_.messages < 5:
            up.tasks()
        with pytest.raises(grpc.RpcError) as raised:
            stub.Predict(digits_pb2.PredictRequest(pixels=image_of(1)))
        engine.go.set()
        digits = [reply.predicted.predictions[0].digit for reply in stream]
        assert stub.Predict(digits_pb2.PredictRequest(pixels=image_of(1)))
    assert digits == list(range(8))
    status = rpc_status.from_call(raised.value)
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert reason_of(status) == "QUEUE_FULL"
    assert any(each.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for each in status.details)
    trailers: Any = raised.value.trailing_metadata()
    assert ("grpc-retry-pushback-ms", "1000") in [tuple(each) for each in trailers]


def test_a_caller_who_never_reads_harms_nobody_else() -> None:
    """What he sends stops being read; others are answered as ever."""
    flood = (frame(frame_id="x" * 200) for _ in range(100_000))
    with serving(versions=versions_of(InkEngine())) as up, up.digits() as stub:
        call = stub.StreamPredict(flood)
        seen, steady = 0, 0
        while steady < 500:
            up.tasks()
            now = sum(stream.messages for stream in up.server.streams)
            seen, steady = now, (steady + 1 if now and now == seen else 0)
        with up.digits() as other:
            response = other.Predict(digits_pb2.PredictRequest(pixels=image_of(3)))
        call.cancel()
    assert 0 < seen < 100_000
    assert response.predictions[0].digit == 3
