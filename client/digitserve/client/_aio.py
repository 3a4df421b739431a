"""The client for asyncio: the same words as `_sync`, awaited."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from typing import Any

import grpc
from grpc_health.v1 import health_pb2

from digitserve.client import _channel, _messages
from digitserve.client._access import Tls, Token, access
from digitserve.client._again import DEFAULT_RETRIES
from digitserve.client._asking import AsyncAsking
from digitserve.client._closing import AsyncClosing
from digitserve.client._ledger import Ledger
from digitserve.client._models import AsyncModels
from digitserve.client._patience import Patience
from digitserve.client._pipeline import AsyncPipeline
from digitserve.client._pixels import Image, Pixels, many_images, one_image
from digitserve.client.errors import CallError, unless_expired
from digitserve.client.types import Delivery, Frame, Health, Outcome, Prediction
from digitserve.v1 import digits_pb2


class AsyncDigitClient(AsyncClosing):
    """Asks a server what the digits are.  Made and used inside one event loop.

    async with AsyncDigitClient("127.0.0.1:50051") as client:
        print((await client.predict(image)).digit)

    Attributes:
        models: the versions that the server holds; see `AsyncModels`.
    """

    def __init__(
        self,
        address: str | Sequence[str] = _channel.DEFAULT_ADDRESS,
        *,
        timeout: float | None = _channel.DEFAULT_TIMEOUT,
        credentials: grpc.ChannelCredentials | None = None,
        key: str | None = None,
        token: Token | None = None,
        tls: Tls | bool = False,
        token_in_plain_text: bool = False,
        retries: int = DEFAULT_RETRIES,
        round_robin: bool = False,
    ) -> None:
        """Makes a client; connects at the first call.  Takes what `DigitClient` takes."""
        self._timeout = timeout
        self._retries = retries
        names = _channel.names_of(address)
        admitted = access(
            names,
            credentials=credentials,
            tls=tls,
            key=key,
            token=token,
            token_in_plain_text=token_in_plain_text,
        )
        self._servers = _channel.Servers(names, admitted, grpc.aio, round_robin=round_robin)
        self._ask = AsyncAsking(self._servers, timeout, retries)
        self.models = AsyncModels(self._ask)

    async def predict(
        self,
        image: Image,
        *,
        version: int | None = None,
        label: str | None = None,
        brief: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109 - gRPC's deadline, which the server sees
    ) -> Prediction:
        """Classifies one image; see `DigitClient.predict`."""
        return (await self._predict(one_image(image), version, label, brief, timeout))[0]

    async def predict_batch(
        self,
        images: Iterable[Image] | Image,
        *,
        version: int | None = None,
        label: str | None = None,
        brief: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109 - gRPC's deadline, which the server sees
    ) -> list[Prediction]:
        """Classifies several images in one call; see `DigitClient.predict_batch`."""
        return await self._predict(many_images(images), version, label, brief, timeout)

    def stream(
        self,
        frames: AsyncIterable[Frame | Image] | Iterable[Frame | Image],
        *,
        version: int | None = None,
        label: str | None = None,
        brief: bool = False,
        delivery: Delivery = Delivery.ORDERED,
        max_in_flight: int = 64,
        max_age: float | None = None,
        timeout: float | None = None,
        resume: float = 30.0,
    ) -> "AsyncStream":
        """Classifies frames for as long as `frames` gives them; see `DigitClient.stream`.

        A plain iterable must not block: it is read on the event loop.
        """
        options = _messages.stream_options(
            version=version,
            label=label,
            brief=brief,
            delivery=delivery,
            max_in_flight=max_in_flight,
            max_age=max_age,
        )
        return AsyncStream(self._servers, frames, Ledger(options), timeout, resume)

    def pipeline(
        self,
        *,
        version: int | None = None,
        label: str | None = None,
        brief: bool = False,
        timeout: float | None = None,
        resume: float = 30.0,
    ) -> AsyncPipeline:
        """Lets many concurrent calls travel together; see `DigitClient.pipeline`."""
        options = _messages.stream_options(version=version, label=label, brief=brief)
        return AsyncPipeline(
            self._servers,
            options,
            self._timeout if timeout is None else timeout,
            resume,
            self._retries,
        )

    async def health(
        self,
        service: str = "",
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - gRPC's deadline, which the server sees
    ) -> Health:
        """Asks whether the server, or one of its services, is ready; see `DigitClient.health`."""
        request = health_pb2.HealthCheckRequest(service=service)
        response = await self._ask.anyone(lambda server: server.health.Check, request, timeout)
        return Health(response.status)

    async def close(self) -> None:
        """Lets go of the connection; what is running is cancelled."""
        for server in self._servers.all:
            await server.channel.close()

    async def _predict(
        self,
        pixels: Pixels,
        version: int | None,
        label: str | None,
        brief: bool,
        timeout: float | None,  # noqa: ASYNC109 - gRPC's deadline, which the server sees
    ) -> list[Prediction]:
        request = _messages.predict_request(pixels, version, label, brief)
        response = await self._ask.anyone(lambda server: server.digits.Predict, request, timeout)
        return _messages.predictions(response)


class AsyncStream(AsyncClosing, AsyncIterator[Outcome]):
    """The outcomes of a stream, in order.

    gRPC's own task sends from the ledger, and fills it from the source as far as the window allows;
    whoever iterates reads.
    """

    def __init__(
        self,
        servers: _channel.Servers,
        frames: AsyncIterable[Frame | Image] | Iterable[Frame | Image],
        ledger: Ledger,
        timeout: float | None,
        resume: float,
    ) -> None:
        self._servers = servers
        self._source = aiter(frames if isinstance(frames, AsyncIterable) else _each(frames))
        self._ledger = ledger
        self._timeout = timeout
        self._patience = Patience(resume, servers.count)
        self._changed = asyncio.Event()
        self._fetch: asyncio.Future[Frame | Image] | None = None  # outlives the call that began it
        self._exhausted = self._closed = False
        self._source_error: BaseException | None = None
        self._call: Any = None
        self._connect()

    async def __anext__(self) -> Outcome:
        while not self._closed:
            if self._ledger.superseded:
                return self._ledger.superseded.popleft()
            try:
                response = await self._call.read()
            except grpc.aio.AioRpcError as error:
                await self._resume(CallError.from_rpc_error(error))
                continue
            if response is grpc.aio.EOF:
                await self._resume(None)
                continue
            outcome = self._ledger.settle(response)
            self._changed.set()
            if outcome is not None:
                self._patience.rested()
                return outcome
        raise StopAsyncIteration

    async def close(self) -> None:
        """Leaves the stream; frames without an outcome get none."""
        self._closed = True
        self._changed.set()
        self._call.cancel()
        if self._fetch is not None:
            self._fetch.cancel()

    def _connect(self) -> None:
        """Opens a call that carries the stream on."""
        self._ledger.begin()
        self._turn = object()  # tells the present call's task from one that is left behind
        self._changed.set()
        self._server = self._servers.now
        requests = self._requests(self._turn)
        self._call = self._server.digits.StreamPredict(requests, timeout=self._timeout)

    async def _requests(self, turn: object) -> AsyncIterator[digits_pb2.StreamPredictRequest]:
        """What the call of this turn sends; ends, which half-closes, when it is to send no more."""
        while turn is self._turn and not self._closed and not self._ledger.draining:
            # The first message goes alone: were a second one on its way when the server refuses the
            # stream, grpc.aio would say INTERNAL and lose the reason.
            held = self._ledger.begun and not self._ledger.heard
            if not held and (request := self._ledger.next_request()) is not None:
                yield request
            elif self._exhausted and not self._ledger.unsent:
                return
            else:
                self._changed.clear()
                self._pump()
                await self._changed.wait()

    def _pump(self) -> None:
        """Takes what the source has given; asks it for more, if there is room."""
        if self._fetch is None:
            if self._ledger.has_room:
                self._fetch = asyncio.ensure_future(anext(self._source))
                self._fetch.add_done_callback(lambda _: self._changed.set())
            return
        if not self._fetch.done():
            return
        fetch, self._fetch = self._fetch, None
        try:
            self._ledger.add(fetch.result())
        except StopAsyncIteration:
            self._exhausted = True
        except BaseException as error:
            self._source_error, self._exhausted = error, True
        self._changed.set()

    async def _resume(self, cause: CallError | None) -> None:
        """The call has ended: decides whether another goes on.

        Raises:
            StopAsyncIteration: if every frame has its outcome (or what the source raised after).
        """
        if self._ledger.superseded:
            return  # the call can wait; their reader goes on with these
        if self._ledger.heard:
            cause = unless_expired(cause)
        if cause is None and self._exhausted and self._ledger.settled:
            await self.close()
            raise self._source_error or StopAsyncIteration
        pause = self._patience.pause(cause)
        if pause is None:
            await self.close()
            raise self._ledger.ended(cause)
        await asyncio.sleep(pause)
        self._servers.leave(self._server)
        self._connect()


async def _each(frames: Iterable[Frame | Image]) -> AsyncIterator[Frame | Image]:
    for frame in frames:
        yield frame
