"""The end of a server or of a stream: a notice, every accepted frame answered, the rest refused."""

import asyncio
from dataclasses import replace

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from digitserve.v1 import digits_pb2
from support.engines import InkEngine
from support.serving import TEST_CONFIG, Serving, serving, versions_of
from support.talk import BLANK, Talking, frame, reason_of


def test_a_drain_answers_what_was_accepted_and_refuses_the_rest() -> None:
    """The notice says how many were accepted; each of those is answered, each later one refused."""

    async def scenario(up: Serving) -> None:
        async with Talking(up) as server:
            talk = server.talk()
            await talk.say(*(frame(frame_id=str(at)) for at in range(5)))
            heard = [await talk.hear() for _ in range(5)]
            draining = asyncio.wrap_future(
                asyncio.run_coroutine_threadsafe(up.server.drain(0), up.loop)
            )
            notice = (await talk.hear()).notice
            assert notice.reason == digits_pb2.Notice.REASON_DRAINING
            assert notice.accepted == 5
            assert notice.grace.seconds == 10
            await talk.say(frame(frame_id="late"))
            late = await talk.hear()
            assert (late.sequence, late.frame_id) == (5, "late")
            assert late.failed.code == grpc.StatusCode.UNAVAILABLE.value[0]
            assert reason_of(late.failed) == "DRAINING"
            assert await talk.end() == ([], grpc.StatusCode.OK)
            assert all(each.HasField("predicted") for each in heard)
            assert await draining is True

    with serving(versions=versions_of(InkEngine())) as up:
        asyncio.run(scenario(up))


def test_a_drain_ends_a_stream_that_its_caller_keeps_open() -> None:
    """After the grace it ends UNAVAILABLE, and the drain was not clean."""

    async def scenario(up: Serving) -> None:
        async with Talking(up) as server:
            talk = server.talk()
            await talk.say(frame())
            await talk.hear()
            draining = asyncio.wrap_future(
                asyncio.run_coroutine_threadsafe(up.server.drain(0), up.loop)
            )
            assert (await talk.hear()).HasField("notice")
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await talk.hear()
            assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
            assert await draining is False

    with serving(replace(TEST_CONFIG, grace_s=0.05), versions_of(InkEngine())) as up:
        asyncio.run(scenario(up))


def test_during_the_lame_duck_time_unary_calls_are_served_and_streams_are_not() -> None:
    """A new stream is refused with RetryInfo; a new unary call is answered as ever."""
    with serving(versions=versions_of(InkEngine())) as up, up.digits() as stub:
        stub.Predict(digits_pb2.PredictRequest(pixels=BLANK))
        draining = asyncio.run_coroutine_threadsafe(up.server.drain(3600), up.loop)
        up.tasks()
        stub.Predict(digits_pb2.PredictRequest(pixels=BLANK))
        with pytest.raises(grpc.RpcError) as raised:
            list(stub.StreamPredict(iter([frame()])))
        draining.cancel()
        up.tasks()
    status = rpc_status.from_call(raised.value)
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    assert reason_of(status) == "DRAINING"
    assert any(each.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for each in status.details)


def test_a_stream_that_is_too_old_is_drained_the_same_way() -> None:
    """With a notice of its own; the server goes on, and a new stream may be opened at once."""

    async def scenario(up: Serving) -> None:
        async with Talking(up) as server:
            talk = server.talk()
            await talk.say(frame())
            assert (await talk.hear()).HasField("predicted")
            notice = (await talk.hear()).notice
            assert notice.reason == digits_pb2.Notice.REASON_STREAM_TOO_OLD
            assert notice.accepted == 1
            assert await talk.end() == ([], grpc.StatusCode.OK)
            again = server.talk()
            await again.say(frame())
            assert (await again.hear()).HasField("predicted")

    with serving(replace(TEST_CONFIG, stream_max_age_s=0.2), versions_of(InkEngine())) as up:
        asyncio.run(scenario(up))
