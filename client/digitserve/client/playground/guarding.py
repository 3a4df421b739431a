"""Who may ask, and what the page may do.

A page on loopback can be reached by every page that the browser has open: a name that is made to
point here (DNS rebinding) is told by the Host header, another page by its Origin.  What an attacker
cannot have is an address in place of a name, so addresses, `localhost` and the name that was
listened on are the Hosts that are answered.
"""

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "cache-control": "no-cache",
}
_POLICY_VIOLATION = 1008


class Guarded:
    """Lets in whoever asks from the page itself, and tells the browser what the page may do."""

    def __init__(self, app: ASGIApp, name: str) -> None:
        """Guards `app`, which listens on the host `name`."""
        self._app = app
        self._names = {"localhost", name.lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, as ASGI has it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        why = self._refusal(scope)
        if not why:
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await WebSocketClose(_POLICY_VIOLATION, why)(scope, receive, send)
        else:
            refused = PlainTextResponse(why, 403)
            await refused(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope) -> str:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_own(host):
            return f"expected a Host of this page, got {host[:100]!r}"
        asks_only = scope["type"] == "http" and scope["method"] in {"GET", "HEAD"}
        origin = headers.get("origin", "")
        if not asks_only and origin not in {f"http://{host}", f"https://{host}"}:
            return f"expected the Origin of this page, got {origin[:100]!r}"
        return ""

    def _is_own(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in self._names or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            added = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
            message = {**message, "headers": [*message.get("headers", ()), *added]}
        await send(message)

    return sending
