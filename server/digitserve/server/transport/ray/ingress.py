"""What Ray calls: a class with a method for each bare name, and a server without doors behind it.

constructor ─▶ models ready ─▶ SERVING ─▶ Ray stops it ─▶ NOT_SERVING ─▶ lame duck
    ─▶ notices to the streams ─▶ all calls over, or the grace ─▶ what never ends is ended
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, NamedTuple

from digitserve.server.config import ConfigError
from digitserve.server.core import Core
from digitserve.server.errors import Draining, MethodUnknown
from digitserve.server.services import CallEnded, Method, checked, serialized
from digitserve.server.sources import config_of
from digitserve.server.statuses import first_cause
from digitserve.server.transport.ray.autoscaling import Load
from digitserve.server.transport.ray.call import (
    Context,
    RayCall,
    RayStreamCall,
    Requests,
    fail,
    parsed,
)
from digitserve.server.transport.ray.methods import Asked, bare, by_path

_SAYER = "the application's args"
# Of the doors, which are Ray's here; and `metrics` is a door too.
_RAYS = {
    "addresses",
    "workers",
    "connection_max_age_s",
    "metrics",
    "http",
    "http_origins",
    "tls_cert",
    "tls_key",
    "tls_client_ca",
    "tls_client_required",
    "plain_text",
    "socket_mode",
}


class Answer(NamedTuple):
    """A message that is bytes already, as Ray wants messages."""

    message: bytes = b""

    def SerializeToString(self) -> bytes:  # noqa: N802 - protobuf's name
        """Its bytes."""
        return self.message


class Ingress:
    """One replica.

    Attributes:
        config: how it runs.
    """

    def __init__(
        self, settings: Mapping[str, Any], when_stopped: Callable[[Callable[[], object]], None]
    ) -> None:
        """Makes one that does nothing yet; inside a running event loop.

        Args:
            settings: how it runs, by the keys of the configuration file.
            when_stopped: takes what is to be called when Ray begins to stop the replica.

        Raises:
            ConfigError: if the settings are wrong.
        """
        for each in _RAYS & settings.keys():
            raise ConfigError(f"{_SAYER}: {each}: expected nothing, since Ray takes the calls in")
        self._core = Core(config_of(settings, _SAYER))
        self.config = self._core.config
        self._load = Load(self._core.admission)
        self._methods = by_path(self._core)
        self._streams = {
            bare(path): method for path, method in self._methods.items() if method.unary is None
        }
        self._endless = set[RayStreamCall]()
        self._draining: asyncio.Task[None] | None = None
        self._drained = False
        loop = asyncio.get_running_loop()
        # Ray may run this class in a thread of its own.
        when_stopped(lambda: loop.call_soon_threadsafe(self._begin_drain))

    async def open(self) -> None:
        """Makes the models ready."""
        await self._core.open()

    async def answer(self, asked: Asked, context: Context) -> Answer:
        """Answers a unary call; where that fails, says so in the context."""
        drain = self._core.leaving
        drain.enter()
        try:
            method = self._methods.get(asked.path)
            if method is None or method.unary is None:
                raise MethodUnknown(asked.path)
            message = parsed(method, asked.message, self.config.max_message_bytes)
            response = await method.unary(checked(message, method.request), RayCall(context))
            return Answer(serialized(response))
        except Exception as error:
            fail(context, error)
            return Answer()
        finally:
            drain.leave()

    async def stream(
        self, name: str, requests: Requests, context: Context
    ) -> AsyncIterator[Answer]:
        """Answers a call of many messages."""
        method = self._streams.get(name)
        if method is None:
            fail(context, MethodUnknown(name))
            return
        if method.endless and self._drained:
            fail(context, Draining())
            return
        call = RayStreamCall(method, requests, context, self.config.max_message_bytes)
        task = asyncio.create_task(self._run(method, call))
        if method.endless:
            self._endless.add(call)
        try:
            while (message := await call.said()) is not None:
                yield Answer(message)
        finally:
            self._endless.discard(call)
            task.cancel()
            await asyncio.wait({task})

    async def check_health(self) -> None:
        """Raises if the replica is to be replaced; that it has no model is no reason."""
        self._core.check()

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """What the autoscaling goes by; Ray asks again and again."""
        return self._load.look()

    async def close(self) -> None:
        """Lets go of everything; Ray calls nothing any more."""
        if self._draining is not None:
            self._draining.cancel()
        await self._core.close()

    async def _run(self, method: Method, call: RayStreamCall) -> None:
        assert method.stream is not None
        drain = self._core.leaving
        if not method.endless:
            drain.enter()
        try:
            await method.stream(call)
        except Exception as error:
            if not isinstance(first_cause(error), CallEnded):
                fail(call.context, error)
        finally:
            if not method.endless:
                drain.leave()
        await call.end()

    def _begin_drain(self) -> None:
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain())

    async def _drain(self) -> None:
        """Ends what is open; meanwhile the ingress learns to go elsewhere, and Ray waits for it."""
        core = self._core
        core.health.welcome(False)
        # Who was told at once would come back here.
        await asyncio.sleep(self.config.lame_duck_s)
        core.leaving.begin(self.config.grace_s)
        await core.leaving.idle()
        self._drained = True
        for call in list(self._endless):
            fail(call.context, Draining())
            call.cut()
