"""A server that asks who calls: its files, its clocks, and what reached its handlers."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from digitserve.server import core
from digitserve.server.adapters.wanted import adapters_of
from digitserve.server.guard import guarding as guarding_
from digitserve.server.guard.guarding import Guard
from digitserve.server.guard.tokens import make_token
from digitserve.server.services import Method, Service
from support.engines import InkEngine
from support.keys import AUDIENCE, ISSUER, jwk, rsa_key, write_jwks
from support.serving import TEST_CONFIG, Serving, serving, versions_of


class Tokens:
    """A tokens file, written anew at each change."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "tokens.json"
        self._told: dict[str, Any] = {"tokens": [], "certificates": []}
        self._write()

    def add(self, name: str = "somebody", *scopes: str, **more: Any) -> str:
        """Lets somebody in; returns his token."""
        made = make_token()
        entry = {"id": made.id, "sha256": made.sha256, "name": name}
        self._told["tokens"].append(entry | {"scopes": scopes or ["predict"]} | more)
        self._write()
        return made.token

    def add_certificate(self, name: str, *scopes: str, **more: Any) -> None:
        """Lets in whoever shows a certificate of this name."""
        self._told["certificates"].append({"name": name, "scopes": scopes} | more)
        self._write()

    def set(self, name: str, **more: Any) -> None:
        """Changes what is said of somebody's tokens."""
        for each in self._told["tokens"]:
            if each["name"] == name:
                each.update(more)
        self._write()

    def revoke(self, name: str) -> None:
        """Takes somebody's tokens out."""
        self._told["tokens"] = [each for each in self._told["tokens"] if each["name"] != name]
        self._write()

    def limit(self, **limits: Any) -> None:
        """Says the limits of who has none of his own."""
        self._told["limits"] = limits
        self._write()

    def _write(self) -> None:
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps(self._told), encoding="utf-8")
        partial.replace(self.path)


@dataclass
class Clock:
    """A clock that tests move."""

    now: float = field(default_factory=time.time)

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Guarded:
    """A guarded server that is up.

    Attributes:
        up: the server.
        wall: by which credentials expire.
        clock: by which limits count.
        reached: the calls that reached a handler of ours.
    """

    up: Serving
    wall: Clock
    clock: Clock
    reached: list[str]

    def look(self) -> None:
        """Lets the server look at its files, and at who is still let in."""

        async def look() -> None:
            assert self.up.server.guard is not None
            self.up.server.guard.look()

        self.up.run(look())


def bearer(token: str) -> list[tuple[str, str]]:
    """The metadata of a call."""
    return [("authorization", f"Bearer {token}")]


@contextmanager
def guarding(tokens: Tokens, monkeypatch: pytest.MonkeyPatch, **config: Any) -> Iterator[Guarded]:
    """Runs a server that takes these tokens, and JWTs signed by `rsa_key()`, the key `k1`."""
    wall, clock, reached = Clock(), Clock(), list[str]()
    jwks = tokens.path.with_name("jwks.json")
    write_jwks(jwks, jwk(rsa_key(), "k1"))
    with monkeypatch.context() as patch:
        patch.setattr(guarding_, "Guard", partial(Guard, wall=wall, clock=clock))
        for name in ("digit_service", "model_service"):
            patch.setattr(core, name, _recorded(getattr(core, name), reached))
        patch.setattr(core, "adapters_of", _all_recorded(adapters_of, reached))
        told = replace(
            TEST_CONFIG,
            tokens=tokens.path,
            jwks=jwks,
            jwt_issuer=ISSUER,
            jwt_audience=AUDIENCE,
            **config,
        )
        with serving(told, versions_of(InkEngine())) as up:
            yield Guarded(up, wall, clock, reached)


def _recorded(make: Any, reached: list[str]) -> Any:
    """Makes a service whose handlers write down that they were reached."""
    return lambda *parts: _writing_down(make(*parts), reached)


def _all_recorded(make: Any, reached: list[str]) -> Any:
    """Makes several such."""
    return lambda *parts: [_writing_down(service, reached) for service in make(*parts)]


def _writing_down(service: Service, reached: list[str]) -> Service:
    methods = {
        name: _writing(method, f"/{service.name}/{name}", reached)
        for name, method in service.methods.items()
    }
    return replace(service, methods=methods)


def _writing(method: Method, path: str, reached: list[str]) -> Method:
    handlers: Mapping[str, Any] = {"unary": method.unary, "stream": method.stream}

    def writing(handler: Any) -> Any:
        async def written(*arguments: Any) -> Any:
            reached.append(path)
            return await handler(*arguments)

        return written

    return replace(
        method, **{kind: handler and writing(handler) for kind, handler in handlers.items()}
    )
