"""The protocol's messages, and the names by which it knows what is here."""

from digitserve.server.adapters.descriptors import Protocol
from digitserve.server.errors import BadField, UnknownModel
from digitserve.server.services import Call
from digitserve.server.services.routing import Routing
from digitserve.server.versions.version import Version

MESSAGES = Protocol(__package__, "inference")

# The one model; what the protocol calls its versions are ours.
MODEL = "digits"
PIXELS = "pixels"


def check_model(name: str) -> None:
    """Refuses any other model.

    Raises:
        UnknownModel: naming it.
    """
    if name != MODEL:
        raise UnknownModel("model", name, [MODEL])


class Versions:
    """Finds versions as callers name them: a number, a label, or nothing for who is stable."""

    def __init__(self, routing: Routing) -> None:
        self._routing = routing

    def answering(self, named: str, field: str, call: Call) -> Version:
        """The version that answers a call.

        Raises:
            BadField: if it is neither a number nor a label.
            DomainError: if it is not there, or not ready.
        """
        if named.isascii() and named.isdigit():
            return self._routing.answering(int(named), None, call)
        try:
            return self._routing.answering(None, named or None, call)
        except UnknownModel as error:
            known = ", ".join(map(str, error.known))
            why = f"expected a version's number, or a label: {known}; got {named!r}"
            raise BadField(field, "VERSION_INVALID", why) from None
