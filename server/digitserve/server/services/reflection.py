"""Server reflection, so that grpcurl and its like need no .proto files."""

from collections.abc import AsyncIterator, Iterable

from google.protobuf.message import Message
from grpc_reflection.v1alpha import reflection_pb2

from digitserve.server.services import END, Method, Service, StreamCall, checked

_REQUEST = reflection_pb2.ServerReflectionRequest
NAME: str = reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"].full_name


def reflection_service(names: Iterable[str]) -> Service:
    """Makes the service; it tells of itself too."""
    told = (*names, NAME)

    async def reflect(call: StreamCall) -> None:
        # Only for who asks: it brings all of grpcio, which the server does without.
        from grpc_reflection.v1alpha import reflection  # noqa: PLC0415

        async def asked() -> AsyncIterator[Message]:
            while (message := await call.read()) is not END:
                yield checked(message, _REQUEST)

        servicer = reflection.aio.ReflectionServicer(told)
        async for response in servicer.ServerReflectionInfo(asked(), None):
            await call.write(response)

    return Service(NAME, {"ServerReflectionInfo": Method(_REQUEST, stream=reflect)})
