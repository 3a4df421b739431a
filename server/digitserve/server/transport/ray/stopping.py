"""How a replica learns that it is being stopped, in time to tell its streams.

Ray calls a replica's destructor when no call runs any more, which no long stream lets happen.  Its
one word before that goes to an object of its own, `Replica.perform_graceful_shutdown`; so that is
where we listen.  That name is Ray's private matter: where it is missing, streams are not told, and
are cut at the end of `graceful_shutdown_timeout_s`; a client that resumes them loses nothing.
"""

import functools
import logging
from collections.abc import Callable
from typing import Any

_METHOD = "perform_graceful_shutdown"

_log = logging.getLogger(__name__)


def when_stopped(tell: Callable[[], object]) -> None:
    """Calls `tell` as soon as Ray stops the replica that this process is."""
    from ray.serve._private import replica  # noqa: PLC0415 - not before Ray is known to be there

    if not listen(getattr(replica, "Replica", None), tell):
        _log.warning("this Ray does not say when it stops a replica: its streams will be cut")


def listen(stopped: Any, tell: Callable[[], object]) -> bool:
    """Calls `tell` before this class's objects are stopped; returns whether that can be."""
    stop = getattr(stopped, _METHOD, None)
    if stop is None:
        return False

    @functools.wraps(stop)
    def told(*args: Any) -> Any:
        tell()
        return stop(*args)

    setattr(stopped, _METHOD, told)
    return True
