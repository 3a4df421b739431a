"""The tokens file: who may call, what, how much and until when.

{
  "tokens": [                   // made and revoked by `digitserve-server token`
    {"id": "8c1f0e…", "sha256": "9b71d2…", "name": "camera-7", "scopes": ["predict"],
     "expires": "2027-03-01T00:00:00Z", "images_per_second": 200, "burst": 400, "streams": 4}
  ],
  "certificates": [             // the name in a verified client certificate
    {"name": "line-3", "scopes": ["predict", "admin"]}
  ],
  "limits": {"images_per_second": 1000, "streams": 16}      // of who has none of their own
}

Holds no secret, only what tells one when it is shown.  An error names the key and not the value:
somebody may have pasted a secret there.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from digitserve.server.guard import GuardError
from digitserve.server.guard.identity import Identity, Kind, Limits
from digitserve.server.guard.scopes import Scope

_DIGEST = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MOST_NAME = 128


@dataclass(frozen=True, slots=True)
class Token:
    """A token that this server takes: the SHA-256 of its secret, and whose it is."""

    sha256: bytes
    identity: Identity


@dataclass(frozen=True, slots=True)
class Table:
    """What the file says.

    Attributes:
        tokens: by id.
        certificates: by the name in the certificate.
        limits: of whoever has none of their own.
    """

    tokens: Mapping[str, Token] = field(default_factory=dict)
    certificates: Mapping[str, Identity] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)


def parse_table(data: bytes, path: Path) -> Table:
    """Reads the file's content.

    Raises:
        GuardError: naming the file, the key, and what was expected there.
    """
    try:
        told = json.loads(data)
    except ValueError as error:
        where = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise GuardError(f"{path}: is not JSON{where}") from None
    try:
        return _table(_Entry("", told))
    except ValueError as error:
        raise GuardError(f"{path}: {error}") from None


def _table(root: "_Entry") -> Table:
    usual = _limits(_Entry("limits", root.take("limits", "an object", _is_object, {})), Limits())
    tokens = [_token(each, usual) for each in root.entries("tokens")]
    names = [_certificate(each, usual) for each in root.entries("certificates")]
    root.finish()
    by_id = {each.identity.id: each for each in tokens}
    by_name = {each.id: each for each in names}
    if len(by_id) < len(tokens) or len(by_name) < len(names):
        raise ValueError("expected each id, and each certificate's name, once")
    return Table(by_id, by_name, usual)


def _token(entry: "_Entry", usual: Limits) -> Token:
    identity = Identity(
        Kind.TOKEN,
        entry.take("id", "letters, digits, - and _", lambda it: _matches(_ID, it)),
        entry.take("name", "a name", is_name),
        _scopes(entry),
        expires=_expires(entry),
        limits=_limits(entry, usual, finish=False),
    )
    sha256 = entry.take("sha256", "64 hexadecimal digits", lambda it: _matches(_DIGEST, it))
    entry.finish()
    return Token(bytes.fromhex(sha256), identity)


def _certificate(entry: "_Entry", usual: Limits) -> Identity:
    name = entry.take("name", "a name", is_name)
    return Identity(
        Kind.CERTIFICATE, name, name, _scopes(entry), expires=None, limits=_limits(entry, usual)
    )


def _scopes(entry: "_Entry") -> frozenset[Scope]:
    told = entry.take("scopes", f"a list of {', '.join(Scope)}", _are_scopes)
    return frozenset(map(Scope, told))


def _expires(entry: "_Entry") -> float | None:
    told = entry.take("expires", "an instant such as 2027-03-01T00:00:00Z", _is_instant, None)
    return None if told is None else datetime.fromisoformat(told).timestamp()


def _limits(entry: "_Entry", usual: Limits, *, finish: bool = True) -> Limits:
    rate = entry.take("images_per_second", "a number above 0", _is_rate, None)
    burst = entry.take("burst", "a whole number from 1", _is_count, None)
    streams = entry.take("streams", "a whole number from 0", _is_bound, None)
    if finish:
        entry.finish()
    if rate is None:
        rate, burst = usual.images_per_second, burst or usual.burst
    return Limits(rate, burst, usual.streams if streams is None else streams)


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def is_name(value: object) -> bool:
    """Whether somebody may be called so: it is to be read in a log, on one line."""
    return isinstance(value, str) and 0 < len(value) <= _MOST_NAME and value.isprintable()


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _are_scopes(value: object) -> bool:
    return isinstance(value, list) and all(each in {*Scope} for each in value)


def _is_instant(value: object) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _is_rate(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e12


def _is_bound(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_count(value: Any) -> bool:
    return _is_bound(value) and value > 0


_MISSING = object()


class _Entry:
    """An object of the file, of which every key must be known."""

    def __init__(self, name: str, told: Any) -> None:
        if not isinstance(told, dict):
            raise ValueError(f"{name or 'the file'}: expected an object")  # noqa: TRY004 - of a file
        self._name, self._left = name, dict(told)

    def take(
        self, key: str, expected: str, fits: Callable[[Any], bool], usual: object = _MISSING
    ) -> Any:
        value = self._left.pop(key, usual)
        if value is _MISSING or (value is not usual and not fits(value)):
            came = "got nothing" if value is _MISSING else "got something else"
            raise ValueError(f"{self._key(key)}: expected {expected}, {came}")
        return value

    def entries(self, key: str) -> list["_Entry"]:
        told = self.take(key, "a list", lambda value: isinstance(value, list), [])
        return [_Entry(f"{key}[{index}]", each) for index, each in enumerate(told)]

    def finish(self) -> None:
        """Refuses what nobody has taken."""
        for key in self._left:
            raise ValueError(f"{self._key(key)!r}: no such key")

    def _key(self, key: str) -> str:
        return f"{self._name}.{key}" if self._name else key
