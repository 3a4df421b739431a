"""How a client is let in: TLS, and the token that goes with each call.

The token is asked for anew for each call, so that one that is renewed meanwhile is sent as soon as
it is there; a stream asks when it connects, and so when it resumes.  In plain text it is sent to
nobody but this machine, unless told so in so many words.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeAlias

import grpc

from digitserve.client.errors import TokenError

Token: TypeAlias = str | Callable[[], str]
Metadata: TypeAlias = tuple[tuple[str, str], ...]

# The metadata by which a server tells who is its canary's.
_KEY = "digitserve-key"
_AUTHORIZATION = "authorization"
_TOKEN = re.compile(r"[\x21-\x7e]+")
_CERTIFICATE = re.compile(rb"-----BEGIN (X509 |TRUSTED )?CERTIFICATE-----")
_SCHEMES = ("dns:", "ipv4:", "ipv6:")


@dataclass(frozen=True, slots=True)
class Tls:
    """The client's side of TLS; files in PEM.

    Attributes:
        ca: who vouches for the server.  None: whom gRPC trusts by itself.
        cert: the certificate chain that this client shows.  None: none.
        key: its private key.
    """

    ca: str | os.PathLike[str] | None = None
    cert: str | os.PathLike[str] | None = None
    key: str | os.PathLike[str] | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """Reads the files.

        Raises:
            ValueError: if there is a certificate without a key, or a key without a certificate, or
                no certificate in a file that is to hold one.
            OSError: if a file cannot be read.
        """
        if (self.cert is None) != (self.key is None):
            raise ValueError("expected a certificate and its key, got one of them")
        ca, cert, key = (
            None if path is None else Path(path).read_bytes()
            for path in (self.ca, self.cert, self.key)
        )
        for path, content in ((self.ca, ca), (self.cert, cert)):
            # gRPC would say so in its log, and then that there is no server.
            if content is not None and not _CERTIFICATE.search(content):
                raise ValueError(f"{os.fspath(path or '')}: no certificate in it, expected PEM")
        return grpc.ssl_channel_credentials(ca, key, cert)


@dataclass(frozen=True, slots=True)
class Access:
    """What a client says of itself, and over what.

    Attributes:
        credentials: for TLS; None: plain text.
        key: what it calls itself for a canary's sake; None: nothing.
        token: what gives the token of a call; None: none.
    """

    credentials: grpc.ChannelCredentials | None
    key: str | None
    token: Callable[[], str] | None

    @property
    def metadata(self) -> Callable[[], Metadata] | None:
        """What makes the metadata of a call; None if there is none to send."""
        named: Metadata = () if self.key is None else ((_KEY, self.key),)
        if (token := self.token) is not None:
            return lambda: (*named, (_AUTHORIZATION, f"Bearer {token()}"))
        return (lambda: named) if named else None


def access(
    addresses: list[str],
    *,
    credentials: grpc.ChannelCredentials | None,
    tls: Tls | bool,
    key: str | None,
    token: Token | None,
    token_in_plain_text: bool,
) -> Access:
    """Puts together what a client was given.

    Raises:
        TokenError: if the token is none, or would travel in plain text.
        ValueError: if what was given contradicts itself.
        OSError: if a file cannot be read.
    """
    if tls:
        if credentials is not None:
            raise ValueError("expected credentials or tls, got both")
        credentials = (Tls() if tls is True else tls).credentials()
    if token is not None and credentials is None and not token_in_plain_text:
        for address in addresses:
            if not is_local(address):
                raise TokenError(
                    f"no token is sent to {address} in plain text: use TLS, or say that it may"
                )
    return Access(credentials, key, None if token is None else _provider(token))


def is_local(address: str) -> bool:
    """Whether what is sent there stays on this machine."""
    if address.startswith(("unix:", "unix-abstract:")):
        return True
    for scheme in _SCHEMES:
        address = address.removeprefix(scheme)
    # Behind `//` comes a name server of the caller's choice, which may say anything.
    if address.startswith("//") and not address.startswith("///"):
        return False
    return all(map(_is_loopback, address.removeprefix("///").split(",")))


def _is_loopback(address: str) -> bool:
    host = address.rpartition(":")[0] or address
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _provider(token: Token) -> Callable[[], str]:
    if isinstance(token, str):
        constant = _checked(token)
        return lambda: constant
    return lambda: _checked(token())


def _checked(token: Any) -> str:
    # Says nothing of what came: it may be a secret with a line's end behind it.
    if not isinstance(token, str) or _TOKEN.fullmatch(token) is None:
        raise TokenError("expected a token of visible ASCII characters, without blanks")
    return token
