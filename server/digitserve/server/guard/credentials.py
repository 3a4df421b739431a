"""Who calls: what a call shows, looked up in what this server was given.

    authorization: Bearer ──▶ id.secret ──▶ tokens file ─┐
                          └─▶ JWT ────────▶ JWKS ────────┼─▶ identity, if it has not expired
    verified certificate ──▶ its name ────▶ tokens file ─┘

A call that shows a token is judged by it: a certificate beside it does not mend a wrong one.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from digitserve.server.config import Config
from digitserve.server.errors import CredentialExpired, CredentialMissing, CredentialWrong
from digitserve.server.extras import MissingExtra
from digitserve.server.guard import GuardError, tokens
from digitserve.server.guard.files import Watched, read_bytes
from digitserve.server.guard.identity import Identity
from digitserve.server.guard.table import Table, parse_table
from digitserve.server.services import Call

# What gRPC lets all of the metadata have.
_MOST_TOKEN = 8192
_SCHEME = "bearer"


class Credentials:
    """Tells who calls."""

    def __init__(self, config: Config, wall: Callable[[], float]) -> None:
        """Reads the files.

        Args:
            config: which files.
            wall: seconds since the epoch.

        Raises:
            GuardError: if one cannot be read, or is wrong.
            MissingExtra: if JWTs are wanted, and what reads them is not installed.
        """
        self._wall = wall
        self._table = Table()
        self._jwts = _jwts(config)
        self._watched: list[Watched] = []
        if config.tokens is not None:
            path = config.tokens
            self._watched.append(Watched([path], lambda: self._read_table(path)))
        if config.jwks is not None and self._jwts is not None:
            self._watched.append(Watched([config.jwks], self._jwts.read))

    def look(self) -> bool:
        """Reads again what has changed; returns whether anything has."""
        return True in [each.look() for each in self._watched]

    def identify(self, call: Call) -> Identity:
        """Who calls.

        Raises:
            CredentialMissing, CredentialWrong, CredentialExpired: if nobody that we know does.
        """
        identity = self._shown(call)
        if identity.expires is not None and identity.expires <= self._wall():
            raise CredentialExpired
        return identity

    def _shown(self, call: Call) -> Identity:
        header = call.metadata("authorization")
        if not header:
            name = call.certificate()
            if not name:
                raise CredentialMissing
            if (identity := self._table.certificates.get(name)) is None:
                raise CredentialWrong
            return identity
        scheme, _, token = header.partition(" ")
        if scheme.lower() != _SCHEME or not token.isascii() or len(token) > _MOST_TOKEN:
            raise CredentialWrong
        if token.count(".") == 2 and self._jwts is not None:
            vouched: Identity = self._jwts.holder_of(token, self._table.limits)
            return vouched
        return tokens.holder_of(token, self._table)

    def _read_table(self, path: Path) -> None:
        self._table = parse_table(read_bytes(path), path)


def _jwts(config: Config) -> Any:
    """What reads JWTs, which is in an extra; None where nobody wants them."""
    if config.jwks is None:
        return None
    if not config.jwt_issuer or not config.jwt_audience:
        raise GuardError("`jwks` takes jwt_issuer and jwt_audience beside it")
    try:
        from digitserve.server.guard.jwts import Jwts  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtra(f"JWTs: {error}; pip install 'digitserve[jwt]'") from error
    return Jwts(config.jwks, config.jwt_issuer, config.jwt_audience)
