"""The application that `serve deploy` and `serve run` build: `…ray.application:build`."""

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from digitserve.server.extras import MissingExtra
from digitserve.server.observe.logs import set_up_logs
from digitserve.server.transport.ray.call import Context, Requests
from digitserve.server.transport.ray.ingress import Answer, Ingress
from digitserve.server.transport.ray.methods import Asked, bare_names
from digitserve.server.transport.ray.stopping import when_stopped

try:
    from ray import serve
except ImportError as error:
    raise MissingExtra(f"Ray Serve: {error}; pip install 'digitserve[ray]'") from error


class Replica(Ingress):
    """An ingress whose methods Ray finds by their bare names."""

    async def __init__(self, settings: dict[str, Any]) -> None:  # type: ignore[misc]
        """Makes the models ready; Ray waits for it."""
        super().__init__(settings, when_stopped)
        set_up_logs(self.config.log_form)
        await self.open()

    async def __del__(self) -> None:
        """Ray calls it when no call runs any more."""
        await self.close()


def _unary() -> Callable[..., Coroutine[Any, Any, Answer]]:
    async def unary(self: Replica, asked: Asked, grpc_context: Context) -> Answer:
        return await self.answer(asked, grpc_context)

    return unary


def _stream(name: str) -> Callable[..., AsyncIterator[Answer]]:
    def stream(self: Replica, requests: Requests, grpc_context: Context) -> AsyncIterator[Answer]:
        return self.stream(name, requests, grpc_context)

    return stream


for _name, _is_unary in bare_names().items():
    setattr(Replica, _name, _unary() if _is_unary else _stream(_name))


def build(settings: dict[str, Any]) -> serve.Application:
    """The application.

    Args:
        settings: how it runs: keys and values of the server's configuration file.
    """
    return serve.deployment(Replica, name="digitserve").bind(settings)
