"""Server reflection, so that grpcurl and its like need no .proto files."""

from collections.abc import AsyncIterator, Iterable

from google.protobuf.message import Message
from grpc_reflection.v1alpha import reflection, reflection_pb2

from digitserve.server.services import END, Method, Service, StreamCall, checked

NAME: str = reflection.SERVICE_NAME


def reflection_service(names: Iterable[str]) -> Service:
    """Makes the service; it tells of itself too."""
    servicer = reflection.aio.ReflectionServicer((*names, NAME))
    request = reflection_pb2.ServerReflectionRequest

    async def told(call: StreamCall) -> None:
        async def asked() -> AsyncIterator[Message]:
            while (message := await call.read()) is not END:
                yield checked(message, request)

        async for response in servicer.ServerReflectionInfo(asked(), None):
            await call.write(response)

    return Service(NAME, {"ServerReflectionInfo": Method(request, stream=told)})
