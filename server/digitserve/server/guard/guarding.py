"""The hook: a service whose handlers nobody reaches without the right to.

`guarded(service, guard)` wraps each method.  Who calls is found out before the message is parsed.
While a stream is open its credential is looked at again, whenever it expires or a file changes.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from digitserve.server.config import Config
from digitserve.server.errors import CredentialExpired, DomainError, ScopeMissing
from digitserve.server.guard.credentials import Credentials
from digitserve.server.guard.files import look_again
from digitserve.server.guard.identity import Identity
from digitserve.server.guard.limits import Account, Accounts
from digitserve.server.guard.scopes import Scope, scope_of
from digitserve.server.observe.facts import identify
from digitserve.server.services import (
    Call,
    Method,
    Response,
    Service,
    StreamCall,
    parsed,
    unread,
)
from digitserve.server.services.known import Known, KnownStream


class Guard:
    """Knows who may do what, how much each has asked for, and whose streams are open."""

    def __init__(
        self,
        config: Config,
        *,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        accounts: Accounts | None = None,
    ) -> None:
        """Reads the files that `config` names.

        Args:
            config: how the server runs.
            wall: seconds since the epoch, by which credentials expire.
            clock: seconds, monotonic, by which limits count.
            accounts: what callers have asked for; None: nothing yet, of this process alone.

        Raises:
            GuardError: if a file cannot be read, or is wrong.
            MissingExtra: if what reads JWTs is not installed.
        """
        self._credentials = Credentials(config, wall)
        self._accounts = Accounts(clock) if accounts is None else accounts
        self._wall = wall
        self._open: set[_Open] = set()

    def admit(self, call: Call, scope: Scope) -> Identity:
        """Who calls, if he may do this.

        Raises:
            CredentialMissing, CredentialWrong, CredentialExpired: if nobody that we know calls.
            ScopeMissing: if he may not.
        """
        identity = self._credentials.identify(call)
        if scope not in identity.scopes:
            raise ScopeMissing(scope)
        return identity

    def account(self, identity: Identity) -> Account:
        """What he has asked for lately."""
        return self._accounts.of(identity)

    def look(self) -> None:
        """Reads what has changed; lets streams wind down whose credential does not hold now."""
        changed, now = self._credentials.look(), self._wall()
        for stream in list(self._open):
            if changed or now >= stream.expires:
                stream.look(self)
        self._accounts.sweep()

    async def watch(self) -> None:
        """Looks again and again, for as long as it is not cancelled."""
        await look_again(self.look)

    async def stream(
        self,
        handle: Callable[[StreamCall], Coroutine[Any, Any, None]],
        call: StreamCall,
        scope: Scope,
    ) -> None:
        """Lets a stream be handled for as long as its caller may have it.

        Raises:
            CredentialExpired: if he may not any more, and the handler did not end it by itself.
            StreamsExceeded: if he has too many open.
        """
        identity = self.admit(call, scope)
        account = self.account(identity)
        identify(account.name)
        limit = asyncio.timeout(None)
        loop = asyncio.get_running_loop()
        known = KnownStream(call, account, lambda: limit.reschedule(loop.time()))
        opened = _Open(known, call, scope, identity)
        account.open_stream()
        self._open.add(opened)
        try:
            async with limit:
                await handle(known)
        except TimeoutError:
            if limit.expired():
                raise CredentialExpired from None
            raise
        finally:
            self._open.discard(opened)
            account.close_stream()


class _Open:
    """An open stream, and what it was let in for."""

    def __init__(
        self, known: KnownStream, call: StreamCall, scope: Scope, identity: Identity
    ) -> None:
        self._known, self._call, self._scope = known, call, scope
        self._id = (identity.kind, identity.id)
        self.expires = _expires(identity)

    def look(self, guard: Guard) -> None:
        """Judges its call anew, as if it came now; if that is refused, lets it wind down."""
        try:
            identity = guard.admit(self._call, self._scope)
        except DomainError:
            self.expires = _NEVER  # it was told
            self._known.wind_down()
            return
        guard.account(identity)  # takes its limits as they are now
        self.expires = _expires(identity)


_NEVER = float("inf")


def _expires(identity: Identity) -> float:
    return _NEVER if identity.expires is None else identity.expires


def guarded(service: Service, guard: Guard) -> Service:
    """The service, with the guard before each of its methods."""
    methods = {
        name: _guarded(method, guard, scope_of(service.name, name))
        for name, method in service.methods.items()
    }
    return replace(service, methods=methods)


def _guarded(method: Method, guard: Guard, scope: Scope | None) -> Method:
    if scope is None:
        return method
    if (unary := method.unary) is not None:

        async def guarded_unary(data: bytes, call: Call) -> Response:
            account = guard.account(guard.admit(call, scope))
            identify(account.name)
            return await unary(parsed(data, method.request), Known(call, account))

        return replace(method, request=unread(method.request), unary=guarded_unary)
    stream = method.stream
    assert stream is not None

    async def guarded_stream(call: StreamCall) -> None:
        await guard.stream(stream, call, scope)

    return replace(method, stream=guarded_stream)
