"""Bearer tokens, `id.secret`: how they are made and told.

The secret is 256 random bits: there is nothing to guess, so one SHA-256 keeps it as well as any
slow hash would, at a microsecond a call.  Whether an id is known takes as long to find out as
whether its secret is right.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Final

from digitserve.server.errors import CredentialWrong
from digitserve.server.guard.identity import Identity
from digitserve.server.guard.table import Table

_ID_BYTES = 8
_SECRET_BYTES = 32
# Compared with where the id is unknown: no secret has it.
_NOBODY: Final = bytes(32)


@dataclass(frozen=True, slots=True)
class Made:
    """A new token: what its holder shows, and what the file keeps."""

    id: str
    token: str
    sha256: str


def make_token() -> Made:
    """Makes a token."""
    name, secret = secrets.token_hex(_ID_BYTES), secrets.token_urlsafe(_SECRET_BYTES)
    return Made(name, f"{name}.{secret}", _digest(secret).hex())


def holder_of(token: str, table: Table) -> Identity:
    """Whose token this is; whether it has expired is not looked at.

    Raises:
        CredentialWrong: if it is nobody's.
    """
    name, _, secret = token.partition(".")
    known = table.tokens.get(name)
    same = hmac.compare_digest(_digest(secret), _NOBODY if known is None else known.sha256)
    if known is None or not same:
        raise CredentialWrong
    return known.identity


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
