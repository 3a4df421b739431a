"""Whether what a broken call left is carried on by another, and how soon."""

import random

from digitserve.client.errors import CallError, Unavailable

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 2.0


class Patience:
    """What is left of it, over all the calls that carry one thing on."""

    def __init__(self, seconds: float, servers: int) -> None:
        """Gives up after so many seconds of pauses without an answer.

        Args:
            seconds: how long; 0: no second call.
            servers: how many there are to ask.
        """
        self._seconds = seconds
        self._servers = servers
        self._answered = False
        self._refused = 0
        self._left, self._pause = seconds, _FIRST_PAUSE

    def rested(self) -> None:
        """There was an answer, or nothing to answer: begins anew."""
        self._answered = True
        self._left, self._pause = self._seconds, _FIRST_PAUSE

    def pause(self, cause: CallError | None) -> float | None:
        """Seconds to wait, with jitter, before a call goes on; None to give up.

        What never got an answer is tried once at each of the servers, as a unary call is; and again
        for as long as a server, draining or not ready yet, says when to come back.  That is heeded
        by a client that has no other server to ask.

        Args:
            cause: why the last call ended; None if it ended OK.
        """
        self._refused += 1
        self._answered |= cause is None  # it was there, and took its leave
        after = None if cause is None else cause.retry_after
        begun = self._answered or self._refused < self._servers or after is not None
        lasting = cause is not None and not isinstance(cause, Unavailable)
        if lasting or not begun or self._left <= 0:
            return None
        pause = self._pause * random.uniform(0.5, 1.0)  # noqa: S311 - not a secret
        if self._servers == 1 and after is not None:
            pause = max(pause, after)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        self._left -= pause
        return pause
