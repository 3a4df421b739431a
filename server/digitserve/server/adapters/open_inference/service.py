"""GRPCInferenceService: which handler answers what.

Handlers and messages are read when the first call comes: a server that nobody asks this way starts
as fast as one that could not be.
"""

from collections.abc import Callable, Coroutine
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from digitserve.server.adapters import Behind
from digitserve.server.adapters.open_inference.messages import NAME, PROTOCOL
from digitserve.server.adapters.open_inference.messages import request as of
from digitserve.server.services import Method, Service, unread

if TYPE_CHECKING:
    from digitserve.server.adapters.open_inference.handlers import Handlers


def open_inference_service(behind: Behind) -> Service:
    """Makes the service."""

    @cache
    def handlers() -> "Handlers":
        from digitserve.server.adapters.open_inference.handlers import Handlers  # noqa: PLC0415

        return Handlers(behind)

    return Service(NAME, _methods(handlers), pool=PROTOCOL.pool)


# Where each handler is among them.
_TELL = {
    "ServerLive": "told.server_live",
    "ServerReady": "told.server_ready",
    "ModelReady": "told.model_ready",
    "ServerMetadata": "told.server_metadata",
    "ModelMetadata": "told.model_metadata",
    "ModelConfig": "told.model_config",
    "ModelStatistics": "told.model_statistics",
    "RepositoryIndex": "repository.index",
    "RepositoryModelLoad": "repository.load",
    "RepositoryModelUnload": "repository.unload",
}


def _methods(handlers: "Callable[[], Handlers]") -> dict[str, Method]:
    def found(where: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        handler = attrgetter(where)

        def called(*asked: Any) -> Coroutine[Any, Any, Any]:
            # The handler's own coroutine: another one around it would cost as much again.
            coroutine: Coroutine[Any, Any, Any] = handler(handlers())(*asked)
            return coroutine

        return called

    asked = unread(of("ModelInferRequest"))
    methods = {name: Method(of(f"{name}Request"), found(where)) for name, where in _TELL.items()}
    methods["ModelInfer"] = Method(asked, found("inference.infer"), light=True)
    methods["ModelStreamInfer"] = Method(asked, stream=found("stream"))
    return methods
