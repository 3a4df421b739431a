"""Whose pages are let in: a browser lets any page send, to whatever answers by any name.

On loopback every page that the browser has open reaches us, and one whose name is made to point
here (DNS rebinding) is of our own origin to the browser: only the Host header tells it.  What it
cannot have is an address in place of its name, so addresses, `localhost`, and the names that were
given us are the Hosts that are answered.  By which names we are called elsewhere we cannot know.

A page of another origin is told by its Origin, which browsers send with whatever may change a
thing.  That it may not read the answer (CORS) does not help: the call has run.
"""

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_ANY = "*"
_ASKING = frozenset({"GET", "HEAD", "OPTIONS"})
_LONGEST = 100


class Guarded:
    """Refuses the pages that nobody named; whoever is no browser sends no Origin, and goes on."""

    def __init__(self, app: ASGIApp, *, origins: Sequence[str], listened: str | None) -> None:
        """Guards an application.

        Args:
            app: the application.
            origins: of whose pages may call; `*`: anybody's.
            listened: the host that is listened at, if that is loopback; None: it is not.
        """
        self._app, self._origins = app, frozenset(origins)
        self._names: set[str] | None = None
        if listened is not None:
            self._names = {"localhost", listened.lower(), *map(_name_in, origins)} - {""}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, as ASGI has it."""
        why = "" if _ANY in self._origins else self._refusal(Headers(scope=scope), scope["method"])
        answer = PlainTextResponse(f"{why}\n", 403) if why else self._app
        await answer(scope, receive, send)

    def _refusal(self, headers: Headers, method: str) -> str:
        """Why a request is refused; empty: it is not."""
        host, origin = headers.get("host", ""), headers.get("origin")
        # Without a Host it is no browser.
        if self._names is not None and host and not _is_ours(_name_in(f"//{host}"), self._names):
            expected = "an address, localhost, or a host that http or http_origins names"
            return f"Host: expected {expected}, got {host[:_LONGEST]!r}"
        if origin is None or method in _ASKING or origin in self._origins | _origins_of(host):
            return ""
        expected = "the origin of the Host, or one that http_origins names"
        return f"Origin: expected {expected}, got {origin[:_LONGEST]!r}"


def _name_in(url: str) -> str:
    """The host; empty: there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _is_ours(name: str, names: set[str]) -> bool:
    try:
        return name in names or bool(ipaddress.ip_address(name))
    except ValueError:
        return False


def _origins_of(host: str) -> set[str]:
    """The origins of a Host's own pages: a proxy before us may have ended their TLS.

    Browsers leave out the port that the scheme has anyway; who passes a Host on may not.
    """
    host = host.lower()
    return {f"http://{host.removesuffix(':80')}", f"https://{host.removesuffix(':443')}"}
