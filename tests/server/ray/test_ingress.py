"""A replica as Ray calls it, without Ray: what a caller is told, and when."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.resources import files
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2

from digitserve.server.config import ConfigError
from digitserve.server.errors import QueueFull
from digitserve.server.transport.ray.call import fail
from digitserve.server.transport.ray.ingress import Ingress
from digitserve.server.transport.ray.methods import Asked
from digitserve.v1 import digits_pb2, models_pb2

SETTINGS = {"lame_duck_s": 0, "models": str(files("digitserve.server") / "bundled" / "1")}
PREDICT = "/digitserve.v1.DigitService/Predict"
NONE = "/digitserve.v1.DigitService/No"
IMAGE = digits_pb2.PredictRequest(pixels=bytes(784)).SerializeToString()
FRAME = digits_pb2.StreamPredictRequest(
    frame=digits_pb2.Frame(pixels=bytes(784))
).SerializeToString()


class Context:
    """What Ray is told of a call."""

    def __init__(self, **metadata: str) -> None:
        self.code: grpc.StatusCode | None = None
        self.details = ""
        self.trailers: dict[str, Any] = {}
        self._metadata = list(metadata.items())

    def peer(self) -> str:
        return "ipv4:127.0.0.1:1"

    def invocation_metadata(self) -> list[tuple[str, str | bytes]]:
        return [*self._metadata, ("some-bin", b"\0")]

    def set_code(self, code: grpc.StatusCode) -> None:
        self.code = code

    def set_details(self, details: str) -> None:
        self.details = details

    def set_trailing_metadata(self, trailing_metadata: list[tuple[str, str | bytes]]) -> None:
        self.trailers = dict(trailing_metadata)

    @property
    def reason(self) -> str:
        """The stable one, of the details."""
        status = status_pb2.Status.FromString(self.trailers["grpc-status-details-bin"])
        info = error_details_pb2.ErrorInfo()
        status.details[0].Unpack(info)
        return str(info.reason)


class Requests:
    """What a stream brings, and then its half-close, or silence."""

    def __init__(self, *messages: bytes, ends: bool = True, gone: bool = False) -> None:
        self._messages = list(messages)
        self._ends, self._gone = ends, gone
        self.taken = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._messages:
            self.taken += 1
            return self._messages.pop(0)
        if not self._ends:
            await asyncio.get_running_loop().create_future()
        raise StopAsyncIteration

    def is_cancelled(self) -> bool:
        return self._gone


class Replica:
    """One, with what Ray would say to stop it."""

    def __init__(self, **settings: Any) -> None:
        self.stop: Callable[[], object] = lambda: None
        self.ingress = Ingress(SETTINGS | settings, self._when_stopped)

    def _when_stopped(self, tell: Callable[[], object]) -> None:
        self.stop = tell


def tried(test: Callable[[Replica], Awaitable[None]], **settings: Any) -> None:
    """Runs a test on a replica that is ready."""

    async def run() -> None:
        replica = Replica(**settings)
        await replica.ingress.open()
        try:
            async with asyncio.timeout(20):
                await test(replica)
        finally:
            await replica.ingress.close()

    asyncio.run(run())


async def said(stream: AsyncIterator[Any]) -> list[digits_pb2.StreamPredictResponse]:
    """All that a stream says."""
    parse = digits_pb2.StreamPredictResponse.FromString
    return [parse(each.SerializeToString()) async for each in stream]


class TestOneCall:
    def test_is_answered(self) -> None:
        """With bytes, which Ray takes for a message; and with no code, which is OK."""

        async def answered(replica: Replica) -> None:
            context = Context()
            answer = await replica.ingress.answer(Asked(PREDICT, IMAGE), context)
            response = digits_pb2.PredictResponse.FromString(answer.SerializeToString())
            assert len(response.predictions) == 1
            assert context.code is None

        tried(answered)

    @pytest.mark.parametrize(
        ("path", "message", "code", "reason"),
        [
            (PREDICT, b"\xff\xff", grpc.StatusCode.INVALID_ARGUMENT, "NOT_A_MESSAGE"),
            (PREDICT, b"", grpc.StatusCode.INVALID_ARGUMENT, "PIXELS_LENGTH"),
            (PREDICT, bytes(900_000), grpc.StatusCode.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LONG"),
            (
                "/digitserve.v1.DigitService/No",
                b"",
                grpc.StatusCode.UNIMPLEMENTED,
                "METHOD_UNKNOWN",
            ),
        ],
    )
    def test_that_fails_says_so_as_elsewhere(
        self, path: str, message: bytes, code: grpc.StatusCode, reason: str
    ) -> None:
        """The table's code, and its details among the trailers; the answer is empty."""

        async def refused(replica: Replica) -> None:
            context = Context()
            answer = await replica.ingress.answer(Asked(path, message), context)
            assert answer.SerializeToString() == b""
            assert (context.code, context.reason) == (code, reason)

        tried(refused, max_images=1, max_message_bytes=800_000)

    def test_of_a_full_server_says_when_to_come_back(self) -> None:
        """As the others do, where gRPC's own retries look for it."""
        context = Context()
        fail(context, QueueFull("full", 0.25))
        assert context.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert context.trailers["grpc-retry-pushback-ms"] == "250"

    def test_goes_to_the_service_of_its_path(self) -> None:
        """Two services have a method of this name, and Ray tells no more than that."""

        async def asked(replica: Replica) -> None:
            path = "/digitserve.v1.ModelService/GetLimits"
            answer = await replica.ingress.answer(Asked(path, b""), Context())
            limits = models_pb2.GetLimitsResponse.FromString(answer.SerializeToString())
            assert limits.max_images == 1024
            context = Context()
            path = "/tensorflow.serving.PredictionService/Predict"
            await replica.ingress.answer(Asked(path, b""), context)
            assert context.code is grpc.StatusCode.INVALID_ARGUMENT
            assert "ModelSpec" in context.details

        tried(asked)


class TestAStream:
    def test_answers_each_frame_and_ends(self) -> None:
        """In order; what is no message fails alone."""

        async def answered(replica: Replica) -> None:
            context = Context()
            requests = Requests(FRAME, b"\xff\xff", FRAME)
            outcomes = await said(replica.ingress.stream("StreamPredict", requests, context))
            kinds = [each.WhichOneof("outcome") for each in outcomes]
            assert kinds == ["predicted", "failed", "predicted"]
            assert [each.sequence for each in outcomes] == [0, 1, 2]
            assert context.code is None

        tried(answered)

    def test_that_nobody_reads_is_not_read_either(self) -> None:
        """What waits is bounded, however much its caller sends."""

        async def paused(replica: Replica) -> None:
            requests = Requests(*[FRAME] * 1000)
            stream = replica.ingress.stream("StreamPredict", requests, Context())
            await anext(stream)
            for _ in range(200):
                await asyncio.sleep(0)
            assert requests.taken < 200
            assert len(await said(stream)) == 999

        tried(paused, max_in_flight_frames=8)

    def test_whose_caller_is_gone_ends(self) -> None:
        """Nobody is there to be told of it."""

        async def ended(replica: Replica) -> None:
            context = Context()
            requests = Requests(FRAME, gone=True)
            await said(replica.ingress.stream("StreamPredict", requests, context))
            assert context.code is None

        tried(ended)

    def test_that_ray_abandons_leaves_nothing_behind(self) -> None:
        """Its handler is cancelled, and what it held is free."""

        async def abandoned(replica: Replica) -> None:
            # By the end of a first stream, what goes on beside the calls has begun.
            await said(replica.ingress.stream("StreamPredict", Requests(FRAME), Context()))
            before = asyncio.all_tasks()
            requests = Requests(FRAME, ends=False)
            stream: Any = replica.ingress.stream("StreamPredict", requests, Context())
            await anext(stream)
            await stream.aclose()
            assert asyncio.all_tasks() == before
            assert (await replica.ingress.record_autoscaling_stats())["images"] == 0

        tried(abandoned)


class TestTheEnd:
    def test_is_told_to_streams_as_it_begins(self) -> None:
        """A notice, and then they end well if their callers half-close."""

        async def told(replica: Replica) -> None:
            requests = Requests(FRAME, ends=False)
            stream = replica.ingress.stream("StreamPredict", requests, Context())
            await anext(stream)
            replica.stop()
            notice = digits_pb2.StreamPredictResponse.FromString(
                (await anext(stream)).SerializeToString()
            )
            assert notice.notice.reason == digits_pb2.Notice.REASON_DRAINING
            assert notice.notice.accepted == 1

        tried(told)

    def test_cuts_streams_when_the_grace_is_over(self) -> None:
        """With the code and reason that a draining server gives."""

        async def cut(replica: Replica) -> None:
            context = Context()
            requests = Requests(FRAME, ends=False)
            stream = replica.ingress.stream("StreamPredict", requests, context)
            await anext(stream)
            replica.stop()
            await said(stream)
            assert context.code is grpc.StatusCode.UNAVAILABLE
            assert context.reason == "DRAINING"

        tried(cut, grace_s=0.05)

    def test_ends_health_watches_last(self) -> None:
        """They see NOT_SERVING first; Ray would wait for them for ever."""

        async def watched(replica: Replica) -> None:
            request = health_pb2.HealthCheckRequest().SerializeToString()

            async def statuses(context: Context) -> list[int]:
                stream = replica.ingress.stream("Watch", Requests(request, ends=False), context)
                parse = health_pb2.HealthCheckResponse.FromString
                seen = []
                async for each in stream:
                    seen.append(parse(each.SerializeToString()).status)
                    replica.stop()
                return seen

            context = Context()
            response = health_pb2.HealthCheckResponse
            assert await statuses(context) == [response.SERVING, response.NOT_SERVING]
            assert context.code is grpc.StatusCode.UNAVAILABLE
            assert await statuses(context) == []

        tried(watched, lame_duck_s=0.05)


class TestSettings:
    @pytest.mark.parametrize(
        ("settings", "why"),
        [
            ({"http": "127.0.0.1:0"}, "http: expected nothing, since Ray takes the calls in"),
            ({"max_image": 3}, "max_image: no such key; did you mean max_images?"),
            ({"grace_s": "soon"}, "grace_s: expected"),
        ],
    )
    def test_that_are_wrong_are_named(self, settings: dict[str, Any], why: str) -> None:
        """By their keys, before anything starts."""

        async def made() -> None:
            Replica(**settings)

        with pytest.raises(ConfigError, match=f"the application's args: {why}"):
            asyncio.run(made())
