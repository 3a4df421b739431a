"""TLS: what the server shows and asks for, and files that change under it."""

import asyncio
import logging
import shutil
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from digitserve.server.config import Config, ContradictionError
from digitserve.server.guard import GuardError
from digitserve.server.guard.tls import Tls, certificate_name, tls_of
from support.keys import Authority


@dataclass(frozen=True)
class Files:
    """What a server is told to read; tests put other things there."""

    cert: Path
    key: Path
    ca: Path

    def put(self, cert: tuple[Path, Path] | None = None, ca: Authority | None = None) -> None:
        """Replaces a certificate with its key, or the authority, or all."""
        for source, target in ((cert and cert[0], self.cert), (cert and cert[1], self.key)):
            if source is not None:
                _replace(source, target)
        if ca is not None:
            _replace(ca.path, self.ca)


def _replace(source: Path, target: Path) -> None:
    partial = target.with_suffix(".partial")
    shutil.copyfile(source, partial)
    partial.replace(target)


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    """The authority that clients and server trust at first."""
    return Authority("ours", tmp_path)


@pytest.fixture
def theirs(tmp_path: Path) -> Authority:
    """Another."""
    return Authority("theirs", tmp_path)


@pytest.fixture
def files(tmp_path: Path, ours: Authority) -> Files:
    """A certificate for `localhost`, and our authority."""
    files = Files(tmp_path / "cert", tmp_path / "key", tmp_path / "ca")
    files.put(ours.issue("one", "localhost"), ours)
    return files


def shown(
    tls: Tls,
    trusted: Authority,
    client: tuple[Path, Path] | None = None,
    *,
    name: str | None = "localhost",
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
) -> tuple[str, str]:
    """A connection's two ends, as asyncio makes them: whom the client sees, and the server."""
    context = ssl.create_default_context(cafile=trusted.path)
    context.set_alpn_protocols(["h2"])
    context.minimum_version = context.maximum_version = version
    context.check_hostname = name is not None
    if client is not None:
        context.load_cert_chain(*client)
    seen: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
        seen.append(certificate_name(writer.get_extra_info("peercert")))
        writer.write(await reader.read(1))
        writer.close()

    async def connect() -> str:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls.context)
        async with server:
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=context, server_hostname=name or ""
            )
            try:
                writer.write(b"x")
                # Only here does a client of TLS 1.3 learn that it was turned away.
                assert await reader.read(1) == b"x"
                subject = writer.get_extra_info("peercert")["subject"]
            finally:
                writer.transport.abort()
        return str(subject[0][0][1])

    return asyncio.run(connect()), seen[0]


def refused(attempt: Callable[[], object]) -> bool:
    """Whether a handshake fails."""
    try:
        attempt()
    except (OSError, AssertionError):
        return True
    return False


def test_the_server_shows_its_certificate(files: Files, ours: Authority) -> None:
    """And speaks HTTP/2; clients need none."""
    tls = Tls(files.cert, files.key)
    assert shown(tls, ours) == ("one", "")
    assert shown(tls, ours, name=None) == ("one", "")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_is_known_by_its_certificate(
    files: Files, ours: Authority, theirs: Authority, version: ssl.TLSVersion
) -> None:
    """By the name that it was issued for; one that somebody else issued is turned away."""
    tls = Tls(files.cert, files.key, files.ca)
    mine, other = ours.issue("c", "camera-7"), theirs.issue("c", "camera-7")
    assert shown(tls, ours, mine, version=version) == ("one", "camera-7")
    assert refused(lambda: shown(tls, ours, other, version=version))
    assert refused(lambda: shown(tls, ours, version=version))


def test_a_client_may_show_none_where_that_is_said(
    files: Files, ours: Authority, theirs: Authority
) -> None:
    """It has a token, maybe; but a wrong certificate is turned away."""
    tls = Tls(files.cert, files.key, files.ca, required=False)
    assert shown(tls, ours) == ("one", "")
    assert shown(tls, ours, ours.issue("plain")) == ("one", "plain")
    assert refused(lambda: shown(tls, ours, theirs.issue("c")))


def test_what_is_old_is_not_spoken(files: Files) -> None:
    """TLS 1.2 at the least."""
    context = Tls(files.cert, files.key).context
    connection = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)
    assert connection.context.minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("name", ["localhost", None])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_new_files_are_used_for_new_connections(
    files: Files, ours: Authority, theirs: Authority, version: ssl.TLSVersion, name: str | None
) -> None:
    """Certificate, key and authority, on the listener's own context; also without a name."""
    tls = Tls(files.cert, files.key, files.ca)
    mine, other = ours.issue("c"), theirs.issue("c")
    files.put(ours.issue("two", "localhost"), theirs)
    tls.look()
    assert shown(tls, ours, other, version=version, name=name) == ("two", "c")
    assert refused(lambda: shown(tls, ours, mine, version=version, name=name))


def handshaken(
    tls: Tls, context: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> ssl.SSLObject:
    """Shakes hands in memory, resuming a session if the server does; returns the client's side."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(back, there, server_hostname="localhost", session=session)
    server = tls.context.wrap_bio(there, back, server_side=True)
    for each in (client, server) * 3:
        with suppress(ssl.SSLWantReadError):
            each.do_handshake()
    assert server.getpeercert()
    for each in (client, server) * 2:
        with suppress(ssl.SSLWantReadError):
            each.unwrap()  # the session of whoever parts without a word is forgotten
    return client


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_an_authority_that_was_taken_out_is_out_for_old_sessions(
    files: Files, ours: Authority, theirs: Authority, version: ssl.TLSVersion
) -> None:
    """Whoever resumes one shows no certificate, so it ends with the files that it began under."""
    tls = Tls(files.cert, files.key, files.ca)
    context = ssl.create_default_context(cafile=ours.path)
    context.set_alpn_protocols(["h2"])
    context.minimum_version = context.maximum_version = version
    context.load_cert_chain(*ours.issue("camera-7"))
    session = handshaken(tls, context).session
    resumed = handshaken(tls, context, session).session_reused
    assert resumed == (version is ssl.TLSVersion.TLSv1_2)
    files.put(ca=theirs)
    tls.look()
    with pytest.raises(ssl.SSLError):
        handshaken(tls, context, session)


def test_a_broken_file_changes_nothing(
    files: Files, ours: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor does one without its other half; the log has one line for each."""
    tls = Tls(files.cert, files.key, files.ca)
    mine, two = ours.issue("c"), ours.issue("two", "localhost")
    kept = files.key.read_bytes()
    for path, data in (
        (files.key, b"no key"),
        (files.cert, b""),
        (files.ca, b"no authority"),
        (files.cert, two[0].read_bytes()),  # its key comes later
    ):
        caplog.clear()
        path.write_bytes(data)
        for _ in range(3):
            tls.look()
        assert len(caplog.records) == 1
        assert "holds on" in caplog.text
        assert shown(tls, ours, mine) == ("one", "c")
    assert kept.decode() not in caplog.text
    files.put(two, ours)
    tls.look()
    assert shown(tls, ours, mine) == ("two", "c")


def test_the_files_are_watched(
    files: Files, ours: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """Again and again, by a clock that can be moved."""
    tls = Tls(files.cert, files.key)
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            files.put(ours.issue("two", "localhost"))
        if len(pauses) == 4:
            raise asyncio.CancelledError

    with caplog.at_level(logging.INFO), pytest.raises(asyncio.CancelledError):
        asyncio.run(tls.watch(sleep=sleep))
    assert pauses == [1.0] * 4
    assert caplog.text.count("read again") == 1
    assert shown(tls, ours) == ("two", "")


@pytest.mark.parametrize("lacking", ["file", "match"])
def test_what_cannot_be_served_is_said(files: Files, ours: Authority, lacking: str) -> None:
    """In one line that names the file, before the server starts."""
    if lacking == "file":
        files.cert.unlink()
    else:
        shutil.copyfile(ours.issue("two")[1], files.key)
    with pytest.raises(GuardError) as raised:
        tls_of(Config(tls_cert=files.cert, tls_key=files.key, tls_client_ca=files.ca))
    assert str(files.cert) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("lacking", ["tls_cert", "tls_key", "both"])
def test_half_of_it_is_refused(files: Files, lacking: str) -> None:
    """A certificate, its key, and who vouches for callers go together."""
    told: dict[str, Any] = {"tls_cert": files.cert, "tls_key": files.key, "tls_client_ca": files.ca}
    for name in ["tls_cert", "tls_key"] if lacking == "both" else [lacking]:
        del told[name]
    with pytest.raises(ContradictionError):
        Config(**told)


def test_without_files_there_is_no_tls() -> None:
    """Plain text, which belongs on loopback."""
    assert tls_of(Config()) is None
