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


def add_services(_: Any, server: Any) -> None:
    """Registers the services: an entry of Ray's `grpc_servicer_functions`.

    Ray puts its own handlers in the place of these, and keeps how their requests are parsed.
    """
    for service in dict.fromkeys(path.split("/")[1] for path in methods()):
        handlers = {
            bare(path): _handler(path, method)
            for path, method in methods().items()
            if path.split("/")[1] == service
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))


def _handler(path: str, method: Method) -> Any:
    if method.unary is None:
        # Of either side one message or many: on the wire they are the same.
        return grpc.stream_stream_rpc_method_handler(_replaced)
    return grpc.unary_unary_rpc_method_handler(_replaced, partial(Asked, path))


def _replaced(*_: Any) -> Any:
    raise NotImplementedError("Ray answers")
