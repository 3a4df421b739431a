"""Unary calls: which server is asked, how often, and what is raised when it says no."""

from collections.abc import Callable
from typing import Any

import grpc

from digitserve.client._channel import Server, Servers
from digitserve.client.errors import CallError, Unavailable

Method = Callable[[Server], Any]


class Asking:
    """Asks the servers of one client, for threads."""

    def __init__(self, servers: Servers, timeout: float | None) -> None:
        """Asks these, each call within so many seconds, unless it says otherwise."""
        self._servers = servers
        self._timeout = timeout

    def anyone(self, method: Method, request: object, timeout: float | None) -> Any:
        """Asks one server after the other, until one is available."""
        for left in reversed(range(len(self._servers.all))):
            server = self._servers.now
            try:
                return self._call(server, method, request, timeout)
            except Unavailable:
                if not left:
                    raise
                self._servers.leave(server)
        return None

    # Not the next server when this one is unavailable: an answer that is lost does not say that
    # nothing was done, and each server holds versions of its own, so elsewhere it would be another
    # change than the one that was asked for.  Who asked decides.  Neither does gRPC repeat it: the
    # retry policy in `_channel` names Predict alone.
    def once(self, method: Method, request: object, timeout: float | None) -> Any:
        """Asks the present server, and no other: for what must not be done twice."""
        return self._call(self._servers.now, method, request, timeout)

    def _call(self, server: Server, method: Method, request: object, timeout: float | None) -> Any:
        try:
            return method(server)(request, timeout=timeout or self._timeout)
        except grpc.RpcError as error:
            raise CallError.from_rpc_error(error) from None


class AsyncAsking:
    """Asks the servers of one client, for asyncio; see `Asking`."""

    def __init__(self, servers: Servers, timeout: float | None) -> None:
        self._servers = servers
        self._timeout = timeout

    async def anyone(
        self,
        method: Method,
        request: object,
        timeout: float | None,  # noqa: ASYNC109 - gRPC's deadline, which the server sees
    ) -> Any:
        """Asks one server after the other, until one is available."""
        for left in reversed(range(len(self._servers.all))):
            server = self._servers.now
            try:
                return await self._call(server, method, request, timeout)
            except Unavailable:
                if not left:
                    raise
                self._servers.leave(server)
        return None

    async def once(
        self,
        method: Method,
        request: object,
        timeout: float | None,  # noqa: ASYNC109 - gRPC's deadline, which the server sees
    ) -> Any:
        """Asks the present server, and no other; why, says `Asking.once`."""
        return await self._call(self._servers.now, method, request, timeout)

    async def _call(
        self,
        server: Server,
        method: Method,
        request: object,
        timeout: float | None,  # noqa: ASYNC109 - gRPC's deadline, which the server sees
    ) -> Any:
        try:
            return await method(server)(request, timeout=timeout or self._timeout)
        except grpc.aio.AioRpcError as error:
            raise CallError.from_rpc_error(error) from None
