"""How much each caller may ask for: images a second, and streams at once."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from hypothesis import given
from hypothesis import strategies as st

from digitserve.server.guard.identity import Identity, Kind, Limits
from digitserve.server.guard.limits import Accounts, Bucket
from digitserve.server.guard.scopes import Scope
from digitserve.v1 import digits_pb2
from support.engines import image_of
from support.guarded import Clock, Guarded, Tokens, bearer, guarding
from support.keys import signed
from support.talk import Talk, Talking, frame, reason_of

EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


# --- the bucket ----------------------------------------------------------------------------------


@given(
    rate=st.floats(0.1, 1e4),
    burst=st.integers(1, 1000),
    asked=st.lists(st.tuples(st.integers(1, 1024), st.floats(0, 10)), max_size=50),
)
def test_nobody_gets_more_than_his_rate(
    rate: float, burst: int, asked: list[tuple[int, float]]
) -> None:
    """Over any time: what is given is the burst, what has come since, and one message owed."""
    clock = Clock(0.0)
    bucket = Bucket(rate, burst, clock)
    given_ = 0
    for images, pause in asked:
        clock.now += pause
        if not bucket.take(images):
            given_ += images
            owed = max(0, images - burst)
            assert given_ <= burst + clock.now * rate + owed + 1e-6


@given(rate=st.floats(0.1, 1e4), burst=st.integers(1, 1000), images=st.integers(1, 1024))
def test_who_waits_as_long_as_he_is_told_is_served(rate: float, burst: int, images: int) -> None:
    """Also with more than a burst: nothing is refused for ever."""
    clock = Clock(0.0)
    bucket = Bucket(rate, burst, clock)
    while not (wait := bucket.take(images)):
        pass
    clock.now += wait * (1 + 1e-9) + 1e-9
    assert bucket.take(images) == 0


def test_idle_accounts_are_forgotten() -> None:
    """An issuer may know more people than there is room for; who owes is remembered."""
    clock = Clock(0.0)
    accounts = Accounts(clock)

    def identity(name: str) -> Identity:
        limits = Limits(images_per_second=1, streams=1)
        return Identity(Kind.JWT, name, name, frozenset({Scope.PREDICT}), limits)

    for number in range(100):
        accounts.of(identity(str(number)))
    accounts.of(identity("owes")).charge(1)
    accounts.of(identity("streams")).open_stream()
    accounts.sweep()
    assert len(accounts) == 2
    clock.now += 1
    accounts.sweep()
    assert len(accounts) == 1
    accounts.of(identity("streams")).close_stream()
    accounts.sweep()
    assert len(accounts) == 0


# --- on the wire ---------------------------------------------------------------------------------


def predict(up: Guarded, token: str, count: int = 1) -> Any:
    """A call's error; None if it was served."""
    request = digits_pb2.PredictRequest(pixels=image_of(7) * count, count=count)
    with up.up.digits() as stub:
        try:
            stub.Predict(request, metadata=bearer(token))
        except grpc.RpcError as error:
            return error
    return None


def test_a_call_over_the_rate_is_told_when_it_would_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RESOURCE_EXHAUSTED, RetryInfo, QuotaFailure, push-back; after that long it is served."""
    tokens = Tokens(tmp_path)
    token = tokens.add("slow", images_per_second=2, burst=4)
    other = tokens.add("other", images_per_second=2, burst=4)
    with guarding(tokens, monkeypatch) as up:
        assert predict(up, token, 3) is None
        error = predict(up, token, 3)
        assert error.code() is EXHAUSTED
        status = rpc_status.from_call(error)
        assert reason_of(status) == "RATE_EXCEEDED"
        retry, quota = error_details_pb2.RetryInfo(), error_details_pb2.QuotaFailure()
        assert any(detail.Unpack(retry) for detail in status.details)
        assert any(detail.Unpack(quota) for detail in status.details)
        assert retry.retry_delay.ToMilliseconds() == 1000
        assert quota.violations[0].subject == "slow"
        assert ("grpc-retry-pushback-ms", "1000") in error.trailing_metadata()
        assert predict(up, other, 3) is None  # it is nobody else's fault
        up.clock.now += 1
        assert predict(up, token, 3) is None


def test_a_frame_over_the_rate_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream goes on; a frame that is wrong costs nothing."""
    tokens = Tokens(tmp_path)
    token = tokens.add("camera", images_per_second=1, burst=2)

    async def scenario(up: Guarded) -> list[str]:
        async with Talking(up.up) as talking:
            talk = talking.talk(metadata=bearer(token))
            heard = []
            for pixels in (image_of(1), b"junk", image_of(2), image_of(3), image_of(4)):
                await talk.say(frame(pixels))
                response = await talk.hear()
                if response.HasField("failed"):
                    heard.append(reason_of(response.failed))
                    up.clock.now += 1
                else:
                    heard.append(str(response.predicted.predictions[0].digit))
            assert await talk.end() == ([], grpc.StatusCode.OK)
            return heard

    with guarding(tokens, monkeypatch) as up:
        # After the junk a second passes, and after the refusal another.
        heard = asyncio.run(scenario(up))
    assert heard == ["1", "PIXELS_LENGTH", "2", "3", "RATE_EXCEEDED"]


def test_one_account_for_calls_and_streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever way images come; and a change of the limits is seen."""
    tokens = Tokens(tmp_path)
    token = tokens.add("camera", images_per_second=1, burst=1)

    async def say(up: Guarded) -> str:
        async with Talking(up.up) as talking:
            talk = talking.talk(metadata=bearer(token))
            await talk.say(frame(image_of(1)))
            return str((await talk.hear()).WhichOneof("outcome"))

    with guarding(tokens, monkeypatch) as up:
        assert predict(up, token) is None
        assert asyncio.run(say(up)) == "failed"
        tokens.set("camera", images_per_second=5, burst=5)
        up.look()
        assert asyncio.run(say(up)) == "predicted"


def test_an_open_stream_sees_new_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without being opened anew."""
    tokens = Tokens(tmp_path)
    token = tokens.add("camera", images_per_second=1, burst=1)

    async def scenario(up: Guarded) -> list[str | None]:
        async with Talking(up.up) as talking:
            talk = talking.talk(metadata=bearer(token))
            heard = []
            for limit in (1, 1, 5):
                tokens.set("camera", images_per_second=limit, burst=limit)
                await asyncio.to_thread(up.look)
                await talk.say(frame(image_of(1)))
                heard.append((await talk.hear()).WhichOneof("outcome"))
            return heard

    with guarding(tokens, monkeypatch) as up:
        assert asyncio.run(scenario(up)) == ["predicted", "failed", "predicted"]


def test_a_stream_too_many_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until one of the others ends, however it does; calls are served meanwhile."""
    tokens = Tokens(tmp_path)
    token = tokens.add("camera", streams=2)

    def emptied(up: Guarded) -> None:
        while up.up.server.streams:
            up.up.tasks()  # a turn of its loop

    async def opened(talking: Talking) -> Talk:
        talk = talking.talk(metadata=bearer(token))
        await talk.say(frame(image_of(1)))
        await talk.hear()
        return talk

    async def refusal(talking: Talking) -> str:
        # Nothing is said: grpc.aio would lose the reason by a write under way.
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await talking.talk(metadata=bearer(token)).call.read()
        status: Any = rpc_status.from_call(raised.value)
        return reason_of(status)

    async def scenario(up: Guarded) -> None:
        async with Talking(up.up) as talking:
            first, second = await opened(talking), await opened(talking)
            assert await refusal(talking) == "STREAMS_EXCEEDED"
            assert await asyncio.to_thread(predict, up, token) is None
            await second.end()
            first.call.cancel()
            await asyncio.to_thread(emptied, up)
            await opened(talking)
            await opened(talking)

    with guarding(tokens, monkeypatch) as up:
        asyncio.run(scenario(up))


def test_who_has_no_limits_of_his_own_has_the_usual_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tokens and JWTs alike, each for himself."""
    tokens = Tokens(tmp_path)
    token = tokens.add("usual")
    free = tokens.add("free", images_per_second=100)
    tokens.limit(images_per_second=1, burst=1)
    with guarding(tokens, monkeypatch) as up:
        for each in (token, signed(sub="a"), signed(sub="b")):
            assert predict(up, each) is None
            assert predict(up, each).code() is EXHAUSTED
        assert predict(up, free, 50) is None
        assert predict(up, free, 50) is None
