"""What is known of one call while it runs, for whoever tells of it: the log, a trace.

They are found by context, so that a handler, and what it is wrapped in, need not hand them on; and
they are only there while somebody tells.  Pixels, tokens and other metadata have no place here.
"""

import itertools
import os
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from digitserve.server.services import Call

# No two processes have the same.
_PROCESS = os.urandom(4).hex()


@dataclass(slots=True, eq=False)
class Facts:
    """One call.

    Attributes:
        method: what is called, in full.
        call: by whom, and how long he waits.
        streams: whether it has many messages.
        begun: the instant at which its handler began, by the monotonic clock.
        number: what tells it from the others of this process.
        identity: whom the credential names; empty if nobody looked.
        images: how many were classified.
        version: who did so last; 0: nobody.
        wait_s: seconds that it waited for its turn.
        model_s: seconds in the network, over all turns.
        frames: of a stream, how many ended how.
        code: how it ended.
        reason: why, if it failed.
        seconds: how long it took.
        span: what its trace keeps of it.
    """

    method: str
    call: Call
    streams: bool
    begun: float = 0.0
    number: int = field(default_factory=itertools.count(1).__next__)
    identity: str = ""
    images: int = 0
    version: int = 0
    wait_s: float = 0.0
    model_s: float = 0.0
    frames: dict[str, int] = field(default_factory=dict)
    code: str = ""
    reason: str = ""
    seconds: float = 0.0
    span: Any = None

    @property
    def id(self) -> str:
        """What tells it from all others, whichever process they are of."""
        return f"{_PROCESS}-{self.number}"


CURRENT: ContextVar[Facts | None] = ContextVar("digitserve_call", default=None)
# Known before the facts are, where only failures are told.
CALLER: ContextVar[str] = ContextVar("digitserve_caller", default="")


def identify(name: str) -> None:
    """Says who calls, once that is known."""
    CALLER.set(name)
