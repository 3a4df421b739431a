"""The client for asyncio: the same words as `_sync`, awaited."""

from collections.abc import AsyncIterable, Iterable, Sequence

import grpc
from grpc_health.v1 import health_pb2

from digitserve.client import _channel, _messages
from digitserve.client._access import Tls, Token, access
from digitserve.client._again import DEFAULT_RETRIES
from digitserve.client._asking import AsyncAsking
from digitserve.client._closing import AsyncClosing
from digitserve.client._ledger import Ledger
from digitserve.client._models import AsyncModels
from digitserve.client._pipeline import AsyncPipeline
from digitserve.client._pixels import Image, Pixels, many_images, one_image
from digitserve.client._stream import AsyncStream
from digitserve.client.types import Delivery, Frame, Health, Prediction


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
    ) -> AsyncStream:
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
        """Lets go of the connection; what is running is cancelled (a `CallError` says so)."""
        self._servers.close()
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
