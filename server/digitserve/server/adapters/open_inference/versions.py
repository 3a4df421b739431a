"""Which version a request names: a number or a label, as one text."""

from digitserve.server.adapters.open_inference import words
from digitserve.server.errors import UnknownModel
from digitserve.server.services import Call
from digitserve.server.services.routing import Routing
from digitserve.server.versions.version import Version

# What an int64 holds; its digits are counted first, for the length of a text is its sender's.
_MOST, _DIGITS = 2**63 - 1, 19


def numbered(version: str) -> tuple[int | None, str | None]:
    """The number, or the label; neither, if the text is empty.

    Raises:
        BadForeignField: if it can be neither.
    """
    if not version:
        return None, None
    digits = version.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        return None, version
    if len(digits) > _DIGITS or int(digits) > _MOST:
        raise words.huge_version(version)
    if digits != version:
        raise words.negative_version(version)
    return int(version), None


def answering(
    routing: Routing, named: tuple[int | None, str | None], version: str, call: Call
) -> Version:
    """The version that answers, of which `version` is the text and `named` what it names.

    Raises:
        DomainError: if it is not there, or not ready.
    """
    try:
        return routing.answering(*named, call)
    except UnknownModel as error:
        raise words.unknown_version(error, version) from None
