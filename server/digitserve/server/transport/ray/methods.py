"""The methods that there are, as Ray has to know them before a server is made.

Ray finds a handler by the bare name of its method, and two protocols have a `Predict`.  So what a
unary call brings is tagged with its path where gRPC would have parsed it; it stays bytes, because
bytes that are no message are to be answered by our own table.
"""

from collections.abc import Mapping
from functools import cache, partial
from typing import Any, NamedTuple

import grpc

from digitserve.server.config import Config
from digitserve.server.core import Core
from digitserve.server.services import Method

# Where Ray takes calls of methods that there are not.
_UNKNOWN = "method_unknown"


class Asked(NamedTuple):
    """What a unary call brings.

    Attributes:
        path: its method, as `/service/Method`.
        message: the bytes of its request.
    """

    path: str
    message: bytes


@cache
def methods() -> Mapping[str, Method]:
    """Every method that a server may have, by its path; none of these is ever called."""
    return by_path(Core(Config(), ()))


def by_path(core: Core) -> dict[str, Method]:
    """The methods of a server, by their paths."""
    return {
        f"/{service.name}/{name}": method
        for service in core.services
        for name, method in service.methods.items()
    }


def bare(path: str) -> str:
    """What Ray calls a method."""
    return path.rpartition("/")[2]


def bare_names() -> dict[str, bool]:
    """What Ray calls, and whether that is a call of one message each way."""
    return {bare(path): method.unary is not None for path, method in methods().items()} | {
        _UNKNOWN: True
    }


def add_services(_: Any, server: Any) -> None:
    """Registers the services: an entry of Ray's `grpc_servicer_functions`."""
    for service in dict.fromkeys(path.split("/")[1] for path in methods()):
        server.add_generic_rpc_handlers((_Handlers(service),))


class _Handlers(grpc.GenericRpcHandler):
    """Those of one service.

    Ray puts its own in the place of these, by the name of this attribute, and keeps how their
    requests are parsed.
    """

    def __init__(self, service: str) -> None:
        self._service = f"/{service}/"
        self._method_handlers = {
            path: _unary(path) if method.unary is not None else _stream()
            for path, method in methods().items()
            if path.startswith(self._service)
        }
        self._unknown = self._service + _UNKNOWN
        self._method_handlers[self._unknown] = _unary(self._unknown)

    def service(self, call: grpc.HandlerCallDetails) -> Any:
        """What answers a call; None: it is another service's."""
        path = call.method
        if not path.startswith(self._service):
            return None
        known = self._method_handlers.get(path)
        if known is not None:
            return known
        unknown = self._method_handlers[self._unknown]
        return unknown._replace(request_deserializer=partial(Asked, path))


def _unary(path: str) -> Any:
    return grpc.unary_unary_rpc_method_handler(_replaced, partial(Asked, path))


def _stream() -> Any:
    """Of either side one message or many: on the wire they are the same."""
    return grpc.stream_stream_rpc_method_handler(_replaced)


def _replaced(*_: Any) -> Any:
    raise NotImplementedError("Ray answers")
