"""Unary calls: which server is asked, how often, and what is raised when it says no."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import grpc

from digitserve.client._again import DEFAULT_RETRIES, Again
from digitserve.client._channel import Server, Servers
from digitserve.client.errors import CallError

Method = Callable[[Server], Any]


class Asking:
    """Asks the servers of one client, for threads."""

    def __init__(
        self, servers: Servers, timeout: float | None, retries: int = DEFAULT_RETRIES
    ) -> None:
        """Asks these, each call within so many seconds, unless it says otherwise."""
        self._servers = servers
        self._timeout = timeout
        self._retries = checked_retries(retries)

    def anyone(self, method: Method, request: object, timeout: float | None) -> Any:
        """Asks one server after the other, until one is available and not too busy."""
        again = Again(
            self._retries, self._servers.count, self._timeout if timeout is None else timeout
        )
        while True:
            server = self._servers.now
            try:
                return self._call(server, method, request, again.timeout)
            except CallError as error:
                pause = again.pause(error)
            self._servers.leave(server)
            time.sleep(pause)

    # Not the next server when this one is unavailable: an answer that is lost does not say that
    # nothing was done, and each server holds versions of its own, so elsewhere it would be another
    # change than the one that was asked for.  Who asked decides.  Neither does gRPC repeat it: the
    # retry policy in `_channel` names Predict alone.
    def once(self, method: Method, request: object, timeout: float | None) -> Any:
        """Asks the present server, and no other: for what must not be done twice."""
        return self._call(
            self._servers.now, method, request, self._timeout if timeout is None else timeout
        )

    def _call(self, server: Server, method: Method, request: object, timeout: float | None) -> Any:
        try:
            return method(server)(request, timeout=timeout)
        except grpc.RpcError as error:
            raise CallError.from_rpc_error(error) from None


class AsyncAsking:
    """Asks the servers of one client, for asyncio; see `Asking`."""

    def __init__(
        self, servers: Servers, timeout: float | None, retries: int = DEFAULT_RETRIES
    ) -> None:
        self._servers = servers
        self._timeout = timeout
        self._retries = checked_retries(retries)

    async def anyone(
        self,
        method: Method,
        request: object,
        timeout: float | None,  # noqa: ASYNC109 - gRPC's deadline, which the server sees
    ) -> Any:
        """Asks one server after the other, until one is available and not too busy."""
        again = Again(
            self._retries, self._servers.count, self._timeout if timeout is None else timeout
        )
        while True:
            server = self._servers.now
            try:
                return await self._call(server, method, request, again.timeout)
            except CallError as error:
                pause = again.pause(error)
            self._servers.leave(server)
            await asyncio.sleep(pause)

    async def once(
        self,
        method: Method,
        request: object,
        timeout: float | None,  # noqa: ASYNC109 - gRPC's deadline, which the server sees
    ) -> Any:
        """Asks the present server, and no other; why, says `Asking.once`."""
        return await self._call(
            self._servers.now, method, request, self._timeout if timeout is None else timeout
        )

    async def _call(
        self,
        server: Server,
        method: Method,
        request: object,
        timeout: float | None,  # noqa: ASYNC109 - gRPC's deadline, which the server sees
    ) -> Any:
        try:
            return await method(server)(request, timeout=timeout)
        except grpc.aio.AioRpcError as error:
            raise CallError.from_rpc_error(error) from None


def checked_retries(retries: int) -> int:
    """A number of retries that can be.

    Raises:
        ValueError: if it is none.
    """
    if retries < 0:
        raise ValueError(f"retries: expected 0 or more, got {retries}")
    return retries
