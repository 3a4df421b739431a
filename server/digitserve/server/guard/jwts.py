"""JWTs: identities that somebody else vouches for.

The keys come from a JWKS file, which whoever rotates them writes anew.  A key says which algorithm
it is for; what the token says of that is compared with it and not believed: no `none`, and no HS256
with a public key for its secret.  Symmetric keys are not taken at all.
"""

import hashlib
import json
import logging
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt

from digitserve.server.errors import CredentialExpired, CredentialWrong
from digitserve.server.guard import GuardError
from digitserve.server.guard.files import read_bytes
from digitserve.server.guard.identity import Identity, Kind, Limits, known_scopes
from digitserve.server.guard.table import is_name

_log = logging.getLogger(__name__)

# Seconds by which the issuer's clock may differ from ours.
LEEWAY_S = 10.0
# Those that were right are remembered: a signature costs more than a prediction.
_REMEMBERED = 4096
_LEAST_RSA_BITS = 2048

# Which algorithms a kind of key may be for; the first where it does not say.
_ALGORITHMS = {
    ("RSA", ""): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}


@dataclass(frozen=True, slots=True)
class _Key:
    """A public key, and the one algorithm that it is for."""

    public: Any
    algorithm: str


class Jwts:
    """Tells whose JWT it is."""

    def __init__(self, jwks: Path, issuer: str, audience: str) -> None:
        """Takes those of one issuer, made for one audience; `read` comes next."""
        self._jwks, self._issuer, self._audience = jwks, issuer, audience
        self._keys: Mapping[str, _Key] = {}
        self._remembered: OrderedDict[bytes, Mapping[str, Any]] = OrderedDict()

    def read(self) -> None:
        """Reads the keys.

        Raises:
            GuardError: if the file cannot be read, or has no key that can be used.
        """
        self._keys = _keys(read_bytes(self._jwks), self._jwks)
        self._remembered.clear()

    def holder_of(self, token: str, limits: Limits) -> Identity:
        """Whose token this is.

        Args:
            token: what came.
            limits: what its holder may ask for.

        Raises:
            CredentialExpired: if it was right once.
            CredentialWrong: if it was not.
        """
        claims = self._claims(token)
        scopes = claims.get("scope", claims.get("scp", ""))
        names = scopes.split() if isinstance(scopes, str) else scopes
        return Identity(
            Kind.JWT,
            claims["sub"],
            claims["sub"],
            known_scopes(names if isinstance(names, list) else ()),
            limits,
            float(claims["exp"]) + LEEWAY_S,
        )

    def _claims(self, token: str) -> Mapping[str, Any]:
        digest = hashlib.sha256(token.encode()).digest()
        if (known := self._remembered.get(digest)) is not None:
            self._remembered.move_to_end(digest)
            return known
        claims = self._verified(token)
        self._remembered[digest] = claims
        if len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)
        return claims

    def _verified(self, token: str) -> Mapping[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
            key = self._keys.get(str(header.get("kid", "")))
            # `crit` names extensions that must be understood: we understand none.
            if key is None or header.get("alg") != key.algorithm or "crit" in header:
                raise CredentialWrong
            claims: dict[str, Any] = jwt.decode(
                token,
                key.public,
                algorithms=[key.algorithm],
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.ExpiredSignatureError:
            raise CredentialExpired from None
        except (jwt.PyJWTError, RecursionError, ValueError):
            raise CredentialWrong from None
        if not is_name(claims["sub"]):
            raise CredentialWrong
        return claims


def _keys(data: bytes, path: Path) -> Mapping[str, _Key]:
    """The keys of a JWKS by their ids; those that are not for this are left out."""
    try:
        told = json.loads(data)["keys"]
        keys = {
            str(each["kid"]): key
            for each in told
            if each.get("kid") and (key := _key(each, path)) is not None
        }
    except (AttributeError, KeyError, TypeError, ValueError):
        raise GuardError(f"{path}: is not a JWKS") from None
    if not keys:
        raise GuardError(f"{path}: expected a public key with a `kid`, found none")
    return keys


def _key(told: Mapping[str, Any], path: Path) -> _Key | None:
    kind = told.get("kty")
    fit = _ALGORITHMS.get((str(kind), str(told.get("crv", ""))))
    algorithm = told.get("alg") or (fit[0] if fit else "")
    if fit is None or algorithm not in fit or told.get("use", "sig") != "sig":
        return None
    public = {name: value for name, value in told.items() if name != "d"}
    try:
        key = jwt.PyJWK.from_dict({**public, "alg": algorithm}).key
    except jwt.PyJWTError:
        _log.warning("%s: the key %r cannot be used", path, told.get("kid"))
        return None
    if kind == "RSA" and key.key_size < _LEAST_RSA_BITS:
        _log.warning("%s: the key %r has less than %d bits", path, told["kid"], _LEAST_RSA_BITS)
        return None
    return _Key(key, algorithm)
