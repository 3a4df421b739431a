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
        self._retries = retries
        self._servers = servers
        self._until = None if timeout is None else time.monotonic() + timeout
        self._missing = self._busy = 0

    @property
    def timeout(self) -> float | None:
        """Seconds that the next attempt may take."""
        return None if self._until is None else max(0.0, self._until - time.monotonic())

    def pause(self, error: CallError) -> float | None:
        """Seconds until the next server is asked; None: none is, and this is the answer."""
        if isinstance(error, Unavailable):
            self._missing += 1
            pause = None if self._missing >= self._servers else 0.0
        elif not isinstance(error, ResourceExhausted) or error.retry_after is None:
            pause = None  # it will be as wrong another time: too long a message, say
        else:
            pause = self._until_free(error.retry_after)
        if pause is None or self._until is None or time.monotonic() + pause < self._until:
            return pause
        return None

    def _until_free(self, retry_after: float) -> float | None:
        """No server is waited for while there is one that was not asked."""
        self._busy += 1
        rounds, left = divmod(self._busy, self._servers)
        if not self._retries or rounds > self._retries:
            return None
        return 0.0 if left else later(retry_after)
