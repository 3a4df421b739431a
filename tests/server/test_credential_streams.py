"""Open streams, and callers who stay: what they see when a credential does not hold any more."""

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from grpc_status import rpc_status

from digitserve.v1 import digits_pb2
from support.engines import image_of
from support.guarded import Guarded, Tokens, bearer, guarding
from support.keys import signed
from support.talk import Talking, frame, reason_of

UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("end", ["revoked", "expired", "scope", "jwt expired"])
def test_an_open_stream_sees_that_its_credential_does_not_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """It gets a notice, its answers, and in band a refusal of what comes later."""
    tokens = Tokens(tmp_path)
    soon = datetime.fromtimestamp(time.time() + 3600, UTC).isoformat()
    token = tokens.add("camera", "predict", expires=soon)
    if end == "jwt expired":
        token = signed(exp=time.time() + 3600)

    def happen(up: Guarded) -> None:
        if end == "revoked":
            tokens.revoke("camera")
        elif end == "scope":
            tokens.set("camera", scopes=["admin"])
        else:
            up.wall.now += 3700

    async def scenario(up: Guarded) -> None:
        async with Talking(up.up) as talking:
            talk = talking.talk(metadata=bearer(token))
            await talk.say(frame(image_of(1)))
            assert (await talk.hear()).predicted.predictions[0].digit == 1
            await asyncio.to_thread(up.look)
            happen(up)
            await asyncio.to_thread(up.look)
            notice = (await talk.hear()).notice
            assert notice.reason == digits_pb2.Notice.REASON_CREDENTIAL_EXPIRING
            assert notice.accepted == 1
            await talk.say(frame(image_of(2)))
            assert reason_of((await talk.hear()).failed) == "DRAINING"
            assert await talk.end() == ([], grpc.StatusCode.OK)

    with guarding(tokens, monkeypatch) as up:
        asyncio.run(scenario(up))


def test_a_stream_that_does_not_leave_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """UNAUTHENTICATED, when its short grace is over; the server still drains cleanly."""
    tokens = Tokens(tmp_path)
    token = tokens.add("camera")

    async def scenario(up: Guarded) -> str:
        async with Talking(up.up) as talking:
            talk = talking.talk(metadata=bearer(token))
            await talk.say(frame(image_of(1)))
            await talk.hear()
            tokens.revoke("camera")
            await asyncio.to_thread(up.look)
            assert (await talk.hear()).HasField("notice")
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await talk.call.read()
            assert raised.value.code() is UNAUTHENTICATED
            return reason_of(rpc_status.from_call(raised.value))

    with guarding(tokens, monkeypatch, credential_grace_s=0.05) as up:
        assert asyncio.run(scenario(up)) == "CREDENTIAL_EXPIRED"
        assert up.up.run(up.up.server.drain(0)) is True


def test_the_file_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without anybody's help: revoked now, refused soon."""
    tokens = Tokens(tmp_path)
    token = tokens.add("camera")
    request = digits_pb2.PredictRequest(pixels=image_of(7))
    with guarding(tokens, monkeypatch) as up, up.up.digits() as stub:
        stub.Predict(request, metadata=bearer(token))
        tokens.revoke("camera")
        until = time.monotonic() + 30

        def asked_again_and_again() -> None:
            while time.monotonic() < until:
                stub.Predict(request, metadata=bearer(token))

        with pytest.raises(grpc.RpcError) as raised:
            asked_again_and_again()
    assert raised.value.code() is UNAUTHENTICATED
