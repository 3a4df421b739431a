"""Exceptions that cross a channel, as plain data: those of ours, by name; of all others, nothing.

A domain error that the supervisor raised is raised again in the worker, where it becomes the same
status as if the worker had found it.
"""

import logging
from pathlib import Path
from typing import Any

from digitserve.server import errors
from digitserve.server.addresses import AddressError
from digitserve.server.errors import DomainError
from digitserve.server.extras import MissingExtra
from digitserve.server.guard import GuardError
from digitserve.server.versions.bundle import BundleError, BundleUnread

_log = logging.getLogger(__name__)


class Unforeseen(Exception):
    """What went wrong on the other side is in the log, and nowhere else."""


class Refused(Exception):
    """The other side says in a line why it cannot."""


def told_of(error: Exception) -> list[Any]:
    """Says an exception; one that nobody foresaw goes to the log."""
    match error:
        case DomainError():
            fields = {name: _plain(value) for name, value in vars(error).items()}
            return ["domain", type(error).__name__, fields]
        case BundleError():
            path, why, detail = error.parts
            kind = "unread" if isinstance(error, BundleUnread) else "bundle"
            return [kind, str(path), why, detail]
        case AddressError() | GuardError() | MissingExtra():
            return ["refused", str(error)]
    _log.error("between supervisor and worker", exc_info=error)
    return ["unforeseen"]


def raised(told: Any) -> Exception:
    """Makes the exception again."""
    match told:
        case ["domain", str(name), dict(fields)]:
            kind = getattr(errors, name, None)
            if isinstance(kind, type) and issubclass(kind, DomainError):
                try:
                    return kind(**fields)
                except TypeError:
                    return Unforeseen()
        case ["bundle", str(path), str(why), str(detail)]:
            return BundleError(Path(path), why, detail)
        case ["unread", str(path), str(why), str(detail)]:
            return BundleUnread(Path(path), why, detail)
        case ["refused", str(why)]:
            return Refused(why)
    return Unforeseen()


def _plain(value: object) -> object:
    return value if isinstance(value, str | int | float | None) else list(value)  # type: ignore[call-overload]
