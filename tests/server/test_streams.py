"""StreamPredict over the wire: one outcome for each frame, in order, whatever happens to others."""

import asyncio
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitserve.v1 import digits_pb2
from support.engines import BrokenEngine, HeldEngine, InkEngine, image_of
from support.serving import Serving, serving, versions_of
from support.talk import BLANK, Request, Talking, frame, reason_of


@given(
    digits=st.lists(st.integers(0, 9), max_size=40),
    window=st.integers(1, 8),
    inline=st.booleans(),
)
def test_replies_keep_request_order(digits: list[int], window: int, inline: bool) -> None:
    """However small the window is, and wherever the engine runs, no answer overtakes another."""
    options = digits_pb2.StreamOptions(max_in_flight_frames=window)

    def messages() -> Iterator[Request]:
        yield Request(options=options)
        for at, digit in enumerate(digits):
            yield frame(image_of(digit), frame_id=f"f{at}")

    with _servers[inline].digits() as stub:
        replies = list(stub.StreamPredict(messages(), timeout=20))
    assert [reply.predicted.predictions[0].digit for reply in replies] == digits
    assert [reply.frame_id for reply in replies] == [f"f{at}" for at in range(len(digits))]
    assert [reply.sequence for reply in replies] == [at + 1 for at in range(len(digits))]


_servers: dict[bool, Serving] = {}


@pytest.fixture(scope="module", autouse=True)
def _ink_servers() -> Iterator[None]:
    """Servers for `@given` tests, which may not have fixtures of their own."""
    with (
        serving(versions=versions_of(InkEngine())) as inline,
        serving(versions=versions_of(InkEngine(), inline=False)) as threaded,
    ):
        _servers.update({True: inline, False: threaded})
        yield
        _servers.clear()


@pytest.mark.parametrize("options", [True, False])
def test_a_caller_who_waits_for_each_answer_is_never_stalled(
    serving: Serving, options: bool
) -> None:
    """One frame, its answer, the next frame: for as long as the caller likes."""

    async def scenario() -> None:
        async with Talking(serving) as server:
            talk = server.talk()
            if options:  # alone: it gets no answer
                await talk.say(Request(options=digits_pb2.StreamOptions()))
            for at in range(50):
                await talk.say(frame(frame_id=str(at)))
                assert (await talk.hear()).frame_id == str(at)
            assert await talk.end() == ([], grpc.StatusCode.OK)

    asyncio.run(scenario())


def test_every_seventh_frame_malformed(serving: Serving) -> None:
    """One status for each bad frame, a right answer for each other, and the stream ends OK."""
    bad = [b"", bytes(783), bytes(2352), b"\x89PNG\r\n\x1a\n"]

    def messages() -> Iterator[Request]:
        for at in range(140):
            yield frame(bad[at % 4] if at % 7 == 6 else BLANK, frame_id=str(at))

    with serving.digits() as stub:
        call = stub.StreamPredict(messages())
        replies = list(call)
        assert call.code() is grpc.StatusCode.OK
    assert [reply.sequence for reply in replies] == list(range(140))
    for at, reply in enumerate(replies):
        assert reply.WhichOneof("outcome") == ("failed" if at % 7 == 6 else "predicted")
        if reply.HasField("failed"):
            assert reply.failed.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
            assert reason_of(reply.failed) == "PIXELS_LENGTH"


def test_garbage_in_mid_stream_is_a_failed_frame(serving: Serving) -> None:
    """Bytes that are no message fail alone, first or later; the stream goes on."""

    async def scenario() -> None:
        async with Talking(serving) as server:
            talk = server.raw_talk()
            good = frame().SerializeToString()
            await talk.say(b"\xff\xff", good, b"\xff\xff\xff", good)
            replies, code = await talk.end()
        assert [reply.WhichOneof("outcome") for reply in replies] == ["failed", "predicted"] * 2
        assert {reason_of(reply.failed) for reply in replies[::2]} == {"NOT_A_MESSAGE"}
        assert code is grpc.StatusCode.OK

    asyncio.run(scenario())


def test_a_name_that_is_too_long_comes_back_cut(serving: Serving) -> None:
    """A few bytes may unpack to megabytes: more than a client takes, 64 times over."""
    with serving.digits() as stub:
        (failed,) = stub.StreamPredict(iter([frame(frame_id="x" * 1_000_000)]))
    assert failed.frame_id == "x" * 1024 + "..."
    assert reason_of(failed.failed) == "FRAME_ID_LENGTH"


def test_half_closing_with_nothing_sent_ends_ok(serving: Serving) -> None:
    """No message, no answer, OK; also after options alone."""
    with serving.digits() as stub:
        for messages in ([], [Request(options=digits_pb2.StreamOptions())]):
            call = stub.StreamPredict(iter(messages))
            assert list(call) == []
            assert call.code() is grpc.StatusCode.OK


@pytest.mark.parametrize(
    ("later", "reason"),
    [
        (Request(options=digits_pb2.StreamOptions(), frame=frame().frame), "OPTIONS_NOT_FIRST"),
        (Request(), "FRAME_MISSING"),
        (frame(frame_id="x" * 257), "FRAME_ID_LENGTH"),
        (frame(bytes(784 * 1025), count=1025), "TOO_MANY_IMAGES"),
    ],
)
def test_wrong_later_messages_fail_alone(serving: Serving, later: Request, reason: str) -> None:
    """Options out of place, no frame, a name or a batch beyond its bound."""
    with serving.digits() as stub:
        first, second, third = stub.StreamPredict(iter([frame(), later, frame()]))
    assert first.HasField("predicted")
    assert reason_of(second.failed) == reason
    assert third.HasField("predicted")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"encoding": 9}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"detail": 9}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"delivery": 9}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"version": 99}, grpc.StatusCode.NOT_FOUND),
        ({"label": "canary"}, grpc.StatusCode.NOT_FOUND),
    ],
)
def test_wrong_options_end_the_stream(
    serving: Serving, options: dict[str, Any], code: grpc.StatusCode
) -> None:
    """They are the one thing of the caller's that does."""
    first = Request(options=digits_pb2.StreamOptions(**options), frame=frame().frame)
    with serving.digits() as stub, pytest.raises(grpc.RpcError) as raised:
        list(stub.StreamPredict(iter([first, frame()])))
    assert raised.value.code() is code


def test_frames_of_several_images_and_floats(serving: Serving) -> None:
    """The encoding of the options holds for every frame; each image has its prediction."""
    options = digits_pb2.StreamOptions(
        encoding=digits_pb2.PIXEL_ENCODING_FLOAT32, detail=digits_pb2.DETAIL_BRIEF
    )
    three = digits_pb2.Frame(pixels=bytes(3 * 3136), count=3, frame_id="three")
    one = digits_pb2.Frame(pixels=bytes(3136), frame_id="one")
    with serving.digits() as stub:
        replies = list(
            stub.StreamPredict(iter([Request(options=options, frame=three), Request(frame=one)]))
        )
    assert [len(reply.predicted.predictions) for reply in replies] == [3, 1]
    assert not replies[0].predicted.predictions[0].probabilities
    assert replies[0].predicted.predictions[0] == replies[1].predicted.predictions[0]


def test_a_full_window_stops_reading() -> None:
    """While the engine is held, no more is accepted than the window and one engine turn hold."""
    engine = HeldEngine()
    options = digits_pb2.StreamOptions(max_in_flight_frames=4)
    with serving(versions=versions_of(engine, inline=False)) as up, up.digits() as stub:
        messages = [Request(options=options), *(frame(image_of(3)) for _ in range(20))]
        call = stub.StreamPredict(iter(messages), timeout=20)
        assert engine.entered.wait(timeout=10)
        (stream,) = up.server.streams
        for _ in range(100):  # let the reader go as far as it may
            up.tasks()
        assert stream.messages <= 5
        engine.go.set()
        assert len(list(call)) == 20


def test_what_waits_goes_through_the_engine_together() -> None:
    """Frames that arrived while the engine was busy share its next call, up to a turn."""
    engine = HeldEngine()
    with serving(versions=versions_of(engine, inline=False)) as up, up.digits() as stub:
        call = stub.StreamPredict(iter([frame(image_of(at % 10)) for at in range(60)]), timeout=20)
        assert engine.entered.wait(timeout=10)
        (stream,) = up.server.streams
        while stream.messages < 60:
            up.tasks()
        engine.go.set()
        assert [reply.predicted.predictions[0].digit for reply in call] == [
            at % 10 for at in range(60)
        ]
    assert sum(engine.batches) == 60
    assert max(engine.batches) == 32


def test_a_frame_that_waited_too_long_is_not_computed() -> None:
    """It fails with DEADLINE_EXCEEDED; the frames beside it are answered."""
    engine = HeldEngine()
    with serving(versions=versions_of(engine, inline=False)) as up, up.digits() as stub:
        messages = [frame(image_of(1)), frame(image_of(2), timeout_us=1), frame(image_of(3))]
        call = stub.StreamPredict(iter(messages), timeout=20)
        assert engine.entered.wait(timeout=10)
        engine.go.set()
        replies = list(call)
    assert [reply.WhichOneof("outcome") for reply in replies] == [
        "predicted",
        "failed",
        "predicted",
    ]
    assert reason_of(replies[1].failed) == "DEADLINE_PASSED"
    assert engine.images == 2


def test_an_engine_that_raises_fails_its_own_frames_alone() -> None:
    """The frame that broke the turn is INTERNAL; those that shared the turn are answered."""
    engine = BrokenEngine()
    with serving(versions=versions_of(engine)) as up, up.digits() as stub:
        pixels = [b"\xff" + bytes(783) if at == 5 else image_of(at % 10) for at in range(20)]
        replies = list(stub.StreamPredict(iter([frame(each) for each in pixels])))
    assert [reply.WhichOneof("outcome") == "failed" for reply in replies] == [
        at == 5 for at in range(20)
    ]
    assert "secret" not in replies[5].failed.message


def test_a_vanished_caller_leaves_no_task_behind(serving: Serving) -> None:
    """A cancelled stream, idle or at work, and a connection that is cut, are forgotten."""

    async def scenario() -> None:
        for at in range(20):
            async with Talking(serving) as server:
                talk = server.talk()
                await talk.say(frame())
                await talk.hear()
                if at % 2:
                    talk.call.cancel()

    with serving.digits() as stub:  # gRPC starts its own helpers at the first call
        stub.Predict(digits_pb2.PredictRequest(pixels=BLANK))
    before = serving.tasks()
    asyncio.run(scenario())
    for _ in range(1000):
        if serving.tasks() <= before and not serving.server.streams:
            return
    pytest.fail(f"{serving.tasks() - before} tasks, {len(serving.server.streams)} streams left")


def test_a_message_over_the_limit_ends_its_stream_and_leaves_no_task() -> None:
    """Its length alone tells: the rest is not waited for."""
    with serving(versions=versions_of(InkEngine())) as up, up.channel() as channel:
        before = up.tasks()
        call: Any = channel.stream_stream("/digitserve.v1.DigitService/StreamPredict")
        with pytest.raises(grpc.RpcError) as raised:
            list(call(iter([bytes(5 * 1024 * 1024)]), timeout=60))
        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        while up.tasks() > before or up.server.streams:
            pass
