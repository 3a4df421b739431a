"""A call whose caller is known: what a handler is given where there is a guard.

A handler that computes charges the caller's account; one that streams says how it winds down when
the credential does not hold any more.  Without a guard there are no such calls.
"""

from collections.abc import Callable
from typing import Any, Protocol

from digitserve.server.services import Call, StreamCall


class Account(Protocol):
    """What a caller may still ask for."""

    name: str

    def charge(self, images: int) -> None:
        """Counts images that are to be computed.

        Raises:
            RateExceeded: if they are too many for now.
        """
        ...


class Known:
    """A `Call` with the account of its caller.

    Attributes:
        account: his; its name is what logs call him.
    """

    __slots__ = ("account", "certificate", "deadline", "metadata", "peer")

    def __init__(self, call: Call, account: Account) -> None:
        self.account = account
        self.certificate, self.deadline = call.certificate, call.deadline
        self.metadata, self.peer = call.metadata, call.peer


class KnownStream(Known):
    """A `StreamCall` with the account of its caller.

    Attributes:
        wind_down: called, once, when the credential does not hold any more.  The handler may set
            it; until then it cuts the stream.
    """

    __slots__ = ("read", "wind_down", "write")

    def __init__(self, call: StreamCall, account: Account, cut: Callable[[], Any]) -> None:
        super().__init__(call, account)
        self.read, self.write = call.read, call.write
        self.wind_down = cut
