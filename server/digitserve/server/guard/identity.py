"""Who calls, as a credential told it."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from digitserve.server.guard.scopes import Scope


@dataclass(frozen=True, slots=True)
class Limits:
    """What one identity may ask for; None: as much as it likes.

    Attributes:
        images_per_second: over time.
        burst: images at once, after a pause.  None: those of a second.
        streams: open at once.
    """

    images_per_second: float | None = None
    burst: int | None = None
    streams: int | None = None


class Kind(StrEnum):
    """By what it showed who it is."""

    TOKEN = "token"  # noqa: S105 - no secret
    JWT = "jwt"
    CERTIFICATE = "certificate"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls.

    Attributes:
        kind: by what it showed that.
        id: what tells it from all others of its kind.
        name: for people: what logs call it.
        scopes: what it may do.
        limits: how much of it.
        expires: seconds since the epoch, after which it is nobody.  None: never.
    """

    kind: Kind
    id: str
    name: str
    scopes: frozenset[Scope]
    limits: Limits
    expires: float | None = None


def known_scopes(names: Collection[object]) -> frozenset[Scope]:
    """Those of the names that are scopes of ours; an issuer may know others."""
    return frozenset(scope for scope in Scope if scope in names)
