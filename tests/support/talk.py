"""Streams whose messages are said and heard one at a time, by hand."""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2

from digitserve.v1 import digits_pb2, digits_pb2_grpc
from support.serving import Serving

Request = digits_pb2.StreamPredictRequest
Response = digits_pb2.StreamPredictResponse
BLANK = bytes(784)


def frame(pixels: bytes = BLANK, **fields: Any) -> Request:
    """A message with a frame."""
    return Request(frame=digits_pb2.Frame(pixels=pixels, **fields))


def reason_of(status: status_pb2.Status) -> str:
    """The reason that a frame's failure carries."""
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in status.details)
    return str(info.reason)


async def until(true: Callable[[], bool]) -> None:
    """Waits for what nobody tells of."""
    while not true():  # noqa: ASYNC110 - it has no event
        await asyncio.sleep(0.001)


class Talk:
    """A stream whose messages are written one at a time, by hand."""

    def __init__(self, call: Any) -> None:
        self.call = call

    async def say(self, *messages: Request | bytes) -> None:
        for message in messages:
            await self.call.write(message)

    async def hear(self) -> Response:
        response = await asyncio.wait_for(self.call.read(), 60)
        assert isinstance(response, Response), "the stream ended"
        return response

    async def end(self) -> tuple[list[Response], grpc.StatusCode]:
        """Half-closes; what else came, and how the stream ended."""
        await self.call.done_writing()
        rest = []
        while (response := await self.call.read()) is not grpc.aio.EOF:
            rest.append(response)
        return rest, await self.call.code()


class Talking:
    """Opens talks with a server."""

    def __init__(self, up: Serving) -> None:
        self._channel = grpc.aio.insecure_channel(
            up.address, [("grpc.use_local_subchannel_pool", 1)]
        )

    async def __aenter__(self) -> "Talking":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close()

    def talk(self, **options: Any) -> Talk:
        stub: Any = digits_pb2_grpc.DigitServiceStub(self._channel)
        return Talk(stub.StreamPredict(**options))

    def raw_talk(self) -> Talk:
        """A talk that can say bytes that are no message."""
        return Talk(
            self._channel.stream_stream(
                "/digitserve.v1.DigitService/StreamPredict",
                response_deserializer=Response.FromString,
            )()
        )
