"""Server reflection, so that grpcurl and its like need no .proto files."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any

from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from grpc_reflection.v1alpha import reflection_pb2

from digitserve.server.services import END, Method, Service, StreamCall, checked

_REQUEST = reflection_pb2.ServerReflectionRequest
NAME: str = reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"].full_name


def reflection_service(services: Iterable[Service]) -> Service:
    """Makes the service, which tells of these, and of itself too."""
    services = tuple(services)
    told = (*(service.name for service in services), NAME)

    async def reflect(call: StreamCall) -> None:
        # Only for who asks: it brings all of grpcio, which the server does without.
        from grpc_reflection.v1alpha import reflection  # noqa: PLC0415

        async def asked() -> AsyncIterator[Message]:
            while (message := await call.read()) is not END:
                yield checked(message, _REQUEST)

        private = [service.pool() for service in services if service.pool is not None]
        pools: Any = _Pools([descriptor_pool.Default(), *private])
        servicer = reflection.aio.ReflectionServicer(told, pool=pools)
        async for response in servicer.ServerReflectionInfo(asked(), None):
            await call.write(response)

    # Endless: its clients keep it open as long as they like, and every answer is there at once.
    return Service(NAME, {"ServerReflectionInfo": Method(_REQUEST, stream=reflect, endless=True)})


class _Pools:
    """Several pools as one: what none of them knows is not known."""

    def __init__(self, pools: Sequence[DescriptorPool]) -> None:
        self._pools = pools

    def __getattr__(self, find: str) -> Callable[..., Any]:
        def found(*asked: Any) -> Any:
            for pool in self._pools:
                try:
                    return getattr(pool, find)(*asked)
                except KeyError:
                    continue
            raise KeyError(*asked)

        return found
