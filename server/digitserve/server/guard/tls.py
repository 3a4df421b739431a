"""TLS for whichever transport listens: one context for good, and files that may change under it.

    files ──▶ read, checked ──▶ fresh context ──▶ every handshake that begins from now on
                      └─ broken: the old one holds on, one line in the log

`context` is handed to a listener once, and nothing can be taken out of it again, neither a
certificate's authority nor a chain, nor the sessions that it remembers.  So it only answers the
telephone: each connection is made by the context that was made of the files last.
"""

import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from digitserve.server.config import Config
from digitserve.server.guard import FileUnread, GuardError
from digitserve.server.guard.files import LOOK_S, Watched, look_again


class Tls:
    """The server's side of TLS.

    Attributes:
        context: what a listener is given; the same one for good.
    """

    def __init__(
        self,
        cert: Path,
        key: Path,
        client_ca: Path | None = None,
        *,
        required: bool = True,
        speaks: str = "h2",
    ) -> None:
        """Reads the files.

        Args:
            cert: the server's certificate chain, PEM.
            key: its private key, PEM.
            client_ca: who vouches for clients' certificates, PEM.  None: clients show none.
            required: whether a client without a certificate is turned away.
            speaks: the protocol within, as ALPN names it.

        Raises:
            GuardError: if a file cannot be read, is wrong, or the key is not the certificate's.
        """
        self._cert, self._key, self._client_ca, self._required = cert, key, client_ca, required
        self._speaks = speaks
        paths = [path for path in (cert, key, client_ca) if path is not None]
        self._files = Watched(paths, self._read)
        self.context = _Latest(ssl.PROTOCOL_TLS_SERVER)
        self.context.latest = lambda: self._fresh

    def look(self) -> None:
        """Reads the files again if one has changed."""
        self._files.look()

    async def watch(
        self,
        every_s: float = LOOK_S,
        sleep: Callable[[float], Awaitable[object]] | None = None,
    ) -> None:
        """Looks again and again, for as long as it is not cancelled."""
        await (look_again(self.look, every_s, sleep) if sleep else look_again(self.look, every_s))

    def _read(self) -> None:
        self._fresh = self._made()

    def _made(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols([self._speaks])
        # What resumes an old session shows no certificate, so an authority that was taken out
        # would be trusted for as long as its clients come back.  These switch off tickets, and all
        # of TLS 1.3; sessions that TLS 1.2 knows by an id are the context's, and end with it.
        context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        context.num_tickets = 0
        # Without a function it would ask for a passphrase at the terminal.
        _load(self._cert, lambda: context.load_cert_chain(self._cert, self._key, _no_passphrase))
        if (trusted := self._client_ca) is not None:
            _load(trusted, lambda: context.load_verify_locations(trusted))
            context.verify_mode = ssl.CERT_REQUIRED if self._required else ssl.CERT_OPTIONAL
        return context


class _Latest(ssl.SSLContext):
    """Has another context make its connections.

    Passing a connection on in `sni_callback` is too late: what it may resume is looked up before
    that, among the sessions of the context that made it.

    Attributes:
        latest: says which.
    """

    latest: Callable[[], ssl.SSLContext]

    def wrap_bio(self, *args: Any, **named: Any) -> ssl.SSLObject:
        """What asyncio, and uvloop, ask for each connection."""
        return self.latest().wrap_bio(*args, **named)


def tls_of(config: Config, speaks: str = "h2") -> Tls | None:
    """What `config` wants of TLS, for such a protocol within; None: plain text.

    Raises:
        GuardError: if a file is wrong.
    """
    if config.tls_cert is None or config.tls_key is None:
        return None
    return Tls(
        config.tls_cert,
        config.tls_key,
        config.tls_client_ca,
        required=config.tls_client_required,
        speaks=speaks,
    )


def certificate_name(certificate: Any) -> str:
    """The name in a verified certificate: what `ssl`'s `getpeercert()` gives; empty without one.

    The first URI or DNS name that it was issued for, as meshes write them, or else its common name.
    """
    if not certificate:
        return ""
    names: dict[str, str] = {}
    for kind, value in certificate.get("subjectAltName", ()):
        names.setdefault(kind, value)
    for part in certificate.get("subject", ()):
        for kind, value in part:
            names.setdefault(kind, value)
    return names.get("URI") or names.get("DNS") or names.get("commonName", "")


def _load(path: Path, load: Callable[[], object]) -> None:
    try:
        load()
    except ssl.SSLError as error:
        # OpenSSL does not say which of the two it was.
        why = error.reason or "no certificate in PEM"
        raise GuardError(f"{path}, or what goes with it: {why.replace('_', ' ').lower()}") from None
    except OSError as error:
        raise FileUnread(f"{path}, or what goes with it: {error.strerror or error}") from None
    except ValueError as error:
        raise GuardError(f"{path}, or what goes with it: {error}") from None


def _no_passphrase() -> str:
    raise ValueError("the key is encrypted, and nobody is there to give the passphrase")
