"""Whether a unary call that was refused is asked again: where, how often, and how soon."""

import random
import time

from digitserve.client.errors import CallError, ResourceExhausted, Unavailable

DEFAULT_RETRIES = 3

# Who was refused together is not to come back together.
_LATER = 1.5


def later(retry_after: float) -> float:
    """Seconds to wait for a server that named so many: no fewer, and with jitter."""
    return retry_after * random.uniform(1.0, _LATER)  # noqa: S311 - not a secret


class Again:
    """What is left of one call's patience."""

    def __init__(self, retries: int, servers: int, timeout: float | None) -> None:
        """Begins a call.

        Args:
            retries: how often a busy server is waited for.
            servers: how many there are to ask.
            timeout: seconds for all of it; None: no bound.
        """
        self._waits, self._left = retries > 0, retries
        self._servers = servers
        self._until = None if timeout is None else time.monotonic() + timeout
        self._asked = 0  # in the present round: each server is asked once
        self._refusal: ResourceExhausted | None = None  # of a server that was busy in it

    @property
    def timeout(self) -> float | None:
        """Seconds that the next attempt may take."""
        return None if self._until is None else max(0.0, self._until - time.monotonic())

    def pause(self, error: CallError) -> float:
        """Seconds until the next server is asked.

        No server is waited for while there is one that was not asked in this round, nor after a
        round in which all were missing.

        Raises:
            CallError: if none is: what the caller is told.  A busy server says more than a missing.
        """
        if isinstance(error, ResourceExhausted) and error.retry_after is not None:
            self._refusal = error
        elif not isinstance(error, Unavailable):
            raise error  # it will be as wrong another time: too long a message, say
        refusal, pause = self._refusal, 0.0
        self._asked += 1
        if refusal is not None and not self._waits:
            raise refusal
        if self._asked == self._servers:
            if refusal is None or not self._left:
                raise refusal or error
            self._left -= 1
            self._asked, self._refusal = 0, None
            pause = later(refusal.retry_after or 0.0)
        if self._until is not None and time.monotonic() + pause >= self._until:
            raise refusal or error
        return pause
