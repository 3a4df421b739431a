"""Calls as they begin and end: each method of a service, with a watch around its handler.

A unary call's message is parsed here, inside the watch, so that one which is no message is counted
like any other failure.
"""

import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from digitserve.server.errors import DeadlinePassed
from digitserve.server.observe.counted import OK, Calls
from digitserve.server.observe.facts import CALLER, CURRENT, Facts
from digitserve.server.observe.observer import Observer
from digitserve.server.services import (
    Call,
    CallEnded,
    Method,
    Response,
    Service,
    StreamCall,
    parsed,
    unread,
)
from digitserve.server.statuses import code_of, first_cause, reason_of

_CANCELLED = "CANCELLED"


def observed(service: Service, observer: Observer | None) -> Service:
    """The service, with its calls watched; without an observer, as it is."""
    if observer is None:
        return service
    methods = {
        name: _observed(f"{service.name}/{name}", method, observer)
        for name, method in service.methods.items()
    }
    return replace(service, methods=methods)


def _observed(name: str, method: Method, observer: Observer) -> Method:
    calls = observer.figures.calls[name] = Calls(streams=method.unary is None)
    watch = _Watch(name, calls, observer)
    if method.unary is not None:
        return replace(
            method, request=unread(method.request), unary=_unary(method.unary, method, watch)
        )
    assert method.stream is not None
    return replace(method, stream=_stream(method.stream, watch))


def _unary(
    handle: Callable[[Any, Call], Coroutine[Any, Any, Response]], method: Method, watch: "_Watch"
) -> Callable[[Any, Call], Coroutine[Any, Any, Response]]:
    assert watch.seconds is not None
    clock, see, tells = time.monotonic, watch.seconds.see, watch.tells

    async def unary(data: bytes, call: Call) -> Response:
        begun = clock()
        facts = watch.begin(call, begun) if tells else None
        try:
            response = await handle(parsed(data, method.request), call)
        except BaseException as error:
            see(clock() - begun)
            watch.failed(error, call, begun, facts)
            raise
        see(clock() - begun)
        if facts is not None:
            watch.tell(facts)
        return response

    return unary


def _stream(
    handle: Callable[[StreamCall], Coroutine[Any, Any, None]], watch: "_Watch"
) -> Callable[[StreamCall], Coroutine[Any, Any, None]]:
    async def stream(call: StreamCall) -> None:
        begun = time.monotonic()
        watch.calls.opened += 1
        facts = watch.begin(call, begun) if watch.tells else None
        try:
            await handle(call)
        except BaseException as error:
            watch.calls.closed += 1
            watch.failed(error, call, begun, facts)
            raise
        watch.calls.closed += 1
        if facts is not None:
            watch.tell(facts)

    return stream


class _Watch:
    """Watches the calls of one method."""

    def __init__(self, name: str, calls: Calls, observer: Observer) -> None:
        self._name, self._tellers = name, observer.tellers
        self._reasons = observer.figures.reasons
        self.calls = calls
        self.seconds = calls.seconds
        self.tells = bool(observer.tellers)

    def begin(self, call: Call, begun: float) -> Facts | None:
        """Gathers the facts of a call that somebody wants; of any stream: its frames may fail."""
        CALLER.set("")
        wanted = [teller for teller in self._tellers if teller.wants(call)]
        if not wanted and self.seconds is not None:
            CURRENT.set(None)
            return None
        facts = self._facts(call, begun)
        for teller in wanted:
            teller.began(facts)
        return facts

    def failed(self, error: BaseException, call: Call, begun: float, facts: Facts | None) -> None:
        code, reason = _seen(error, call)
        self.calls.failed[code] += 1
        self._reasons["call", reason] += 1
        if self.tells:
            self.tell(facts or self._facts(call, begun), code, reason)

    def tell(self, facts: Facts, code: str = OK, reason: str = "") -> None:
        facts.code, facts.reason, facts.identity = code, reason, CALLER.get()
        facts.seconds = time.monotonic() - facts.begun
        for teller in self._tellers:
            teller.ended(facts)

    def _facts(self, call: Call, begun: float) -> Facts:
        facts = Facts(self._name, call, streams=self.seconds is None, begun=begun)
        # Never taken back: a call may end in another context than it began in.
        CURRENT.set(facts)
        return facts


def _seen(error: BaseException, call: Call) -> tuple[str, str]:
    """The code and the reason with which its caller saw a call end."""
    error = first_cause(error)
    if isinstance(error, Exception) and not isinstance(error, CallEnded):
        return code_of(error), reason_of(error)
    deadline = call.deadline()
    if deadline is not None and time.monotonic() >= deadline:
        return code_of(DeadlinePassed()), DeadlinePassed.reason
    return _CANCELLED, _CANCELLED
