"""The client's side of credentials: a token for each call, and never to whom it is not for."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import grpc
import pytest
from click.testing import CliRunner, Result

from digitserve.client import (
    AsyncDigitClient,
    DigitClient,
    PermissionDenied,
    Predicted,
    StreamEnded,
    Tls,
    TokenError,
    Unauthenticated,
)
from digitserve.client._access import is_local
from digitserve.client.cli import main
from digitserve.v1 import digits_pb2, digits_pb2_grpc
from support.engines import image_of
from support.guarded import Guarded, Tokens, guarding
from support.keys import Authority

ANY = "t"
PGM = str(Path(__file__).parents[2] / "samples" / "7.pgm")


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    """A file that a test fills."""
    return Tokens(tmp_path)


@pytest.fixture
def up(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> Iterator[Guarded]:
    """A server that goes by it."""
    with guarding(tokens, monkeypatch) as up:
        yield up


# --- calls ---------------------------------------------------------------------------------------


def test_a_token_opens_everything_that_the_client_asks(up: Guarded, tokens: Tokens) -> None:
    """Calls, streams, pipelines and versions; without it nothing but health."""
    token = tokens.add("n", "predict", "admin")
    up.look()
    with DigitClient(up.up.address, token=token) as client:
        assert client.predict(image_of(3)).digit == 3
        assert [each.sequence for each in client.stream([image_of(1), image_of(2)])] == [0, 1]
        assert client.models.list()[0].version == 1
        with client.pipeline() as pipeline:
            assert pipeline.predict(image_of(4)).digit == 4
        with pytest.raises(PermissionDenied) as denied:  # the server lets nobody change versions
            client.models.set_label("next", 1)
        assert denied.value.reason == "MODEL_CONTROL_OFF"
    with DigitClient(up.up.address) as client:
        assert client.health().name == "SERVING"
        for ask in (
            lambda: client.predict(image_of(3)),
            lambda: list(client.stream([image_of(3)])),
            client.models.list,
        ):
            with pytest.raises(Unauthenticated) as raised:
                ask()
            assert raised.value.reason == "CREDENTIAL_MISSING"


def test_the_async_client_does_the_same(up: Guarded, tokens: Tokens) -> None:
    """With the same words, awaited."""
    token = tokens.add("n")
    up.look()

    async def scenario() -> list[int]:
        async with AsyncDigitClient(up.up.address, token=lambda: token) as client:
            digits = [(await client.predict(image_of(3))).digit]
            async for outcome in client.stream([image_of(4)]):
                assert isinstance(outcome, Predicted)
                digits.append(outcome.predictions[0].digit)
            async with client.pipeline() as pipeline:
                digits.append((await pipeline.predict(image_of(5))).digit)
            return digits

    assert asyncio.run(scenario()) == [3, 4, 5]


def test_the_provider_is_asked_for_each_call(up: Guarded, tokens: Tokens) -> None:
    """So that a token that was renewed is sent as soon as it is there."""
    held = [tokens.add("old")]
    up.look()
    with DigitClient(up.up.address, token=lambda: held[-1]) as client:
        assert client.predict(image_of(1)).digit == 1
        tokens.revoke("old")
        held.append(tokens.add("new"))
        up.look()
        assert client.predict(image_of(1)).digit == 1


# --- streams -------------------------------------------------------------------------------------

_FRAMES = 60


@contextmanager
def renewed_in_mid_stream(
    up: Guarded, tokens: Tokens, *, renew: bool
) -> Iterator[tuple[Callable[[], str], Callable[[int], None]]]:
    """A provider, and what is to be called at each frame: at the twentieth the token is revoked."""
    held = [tokens.add("old")]
    up.look()

    def at(sequence: int) -> None:
        if sequence == 20:
            tokens.revoke("old")
            if renew:
                held.append(tokens.add("new"))
            up.look()

    yield (lambda: held[-1]), at


def test_a_stream_goes_on_with_a_fresh_token(up: Guarded, tokens: Tokens) -> None:
    """At the notice it leaves, and comes back; every frame has one outcome."""
    with renewed_in_mid_stream(up, tokens, renew=True) as (token, at):

        def source() -> Iterator[bytes]:
            for sequence in range(_FRAMES):
                at(sequence)
                yield image_of(sequence % 10)

        with DigitClient(up.up.address, token=token) as client:
            outcomes = list(client.stream(source(), max_in_flight=8))
    assert [each.sequence for each in outcomes] == list(range(_FRAMES))
    assert all(isinstance(each, Predicted) for each in outcomes)


def test_an_async_stream_goes_on_with_a_fresh_token(up: Guarded, tokens: Tokens) -> None:
    """The same for the other client."""
    with renewed_in_mid_stream(up, tokens, renew=True) as (token, at):

        async def source() -> AsyncIterator[bytes]:
            for sequence in range(_FRAMES):
                await asyncio.to_thread(at, sequence)
                yield image_of(sequence % 10)

        async def scenario() -> list[Any]:
            async with AsyncDigitClient(up.up.address, token=token) as client:
                return [each async for each in client.stream(source(), max_in_flight=8)]

        outcomes = asyncio.run(scenario())
    assert [each.sequence for each in outcomes] == list(range(_FRAMES))
    assert all(isinstance(each, Predicted) for each in outcomes)


def test_a_pipeline_goes_on_with_a_fresh_token(up: Guarded, tokens: Tokens) -> None:
    """Nobody who asks through it sees anything of it."""
    with renewed_in_mid_stream(up, tokens, renew=True) as (token, at):

        def ask(sequence: int) -> int:
            at(sequence)
            return int(pipeline.predict(image_of(sequence % 10)).digit)

        with (
            DigitClient(up.up.address, token=token) as client,
            client.pipeline() as pipeline,
            ThreadPoolExecutor(4) as threads,
        ):
            digits = list(threads.map(ask, range(_FRAMES)))
    assert digits == [sequence % 10 for sequence in range(_FRAMES)]


def test_a_stream_without_a_fresh_token_ends_and_says_why(up: Guarded, tokens: Tokens) -> None:
    """It does not try for ever with what is known to be wrong."""
    with renewed_in_mid_stream(up, tokens, renew=False) as (token, at):

        def source() -> Iterator[bytes]:
            for sequence in range(_FRAMES):
                at(sequence)
                yield image_of(sequence % 10)

        with (
            DigitClient(up.up.address, token=token) as client,
            pytest.raises(StreamEnded) as ended,
        ):
            list(client.stream(source(), max_in_flight=8))
    assert isinstance(ended.value.cause, Unauthenticated)


def test_a_stream_whose_reader_was_away_goes_on_as_well(
    tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was ended, for it did not leave at the notice: it comes back with a fresh token."""
    held, go_on = [tokens.add("old")], Event()

    def source() -> Iterator[bytes]:
        yield image_of(1)
        assert go_on.wait(timeout=60)
        yield image_of(2)

    with (
        guarding(tokens, monkeypatch, credential_grace_s=0.05) as up,
        DigitClient(up.up.address, token=lambda: held[-1]) as client,
        client.stream(source()) as stream,
    ):
        assert next(stream).sequence == 0
        tokens.revoke("old")
        held.append(tokens.add("new"))
        up.look()
        while up.up.server.streams:
            go_on.wait(0.01)
        go_on.set()
        assert [each.sequence for each in stream] == [1]


# --- where a token goes, and where not -----------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("127.0.0.1:50051", True),
        ("127.8.9.1:1", True),
        ("localhost:50051", True),
        ("[::1]:50051", True),
        ("unix:/run/digits.sock", True),
        ("unix-abstract:digits", True),
        ("dns:///localhost:1", True),
        ("ipv4:127.0.0.1:1,127.0.0.2:1", True),
        ("10.0.0.1:50051", False),
        ("0.0.0.0:50051", False),
        ("localhost.evil.test:50051", False),
        ("127.0.0.1.evil.test:50051", False),
        ("ipv4:127.0.0.1:1,10.0.0.1:1", False),
        ("dns://evil.test/localhost:1", False),
        ("xds:///localhost", False),
        ("digits:50051", False),
        ("", False),
    ],
)
def test_what_is_local_is_known(address: str, local: bool) -> None:
    """In doubt it is not."""
    assert is_local(address) is local


@pytest.mark.parametrize("client", [DigitClient, AsyncDigitClient])
def test_no_token_is_sent_in_plain_text_to_other_machines(client: Any) -> None:
    """Unless told so in so many words; TLS will do as well."""

    def made(**options: Any) -> None:
        async def make() -> None:
            made = client(["127.0.0.1:1", "digits.test:1"], token=ANY, **options)
            closing = made.close()
            if closing is not None:
                await closing

        asyncio.run(make())

    with pytest.raises(TokenError, match=r"digits\.test:1"):
        made()
    made(token_in_plain_text=True)
    made(tls=True)
    made(credentials=grpc.ssl_channel_credentials())


@pytest.mark.parametrize("token", ["", "two words", "line\n", "caf\xe9", 7, None])
def test_what_is_no_token_is_not_sent(up: Guarded, token: Any) -> None:
    """And is not told: it may be half of a secret."""
    with (
        DigitClient(up.up.address, token=lambda: token) as client,
        pytest.raises(TokenError) as raised,
    ):
        client.predict(image_of(1))
    assert "café" not in str(raised.value)
    assert "two words" not in str(raised.value)


def test_whatever_asks_is_told_that_there_is_no_token(up: Guarded) -> None:
    """In the provider's own words: a call, a stream and a pipeline, each time."""

    def away() -> str:
        raise TokenError("the vault is away")

    with DigitClient(up.up.address, token=away) as client, client.pipeline() as pipeline:
        for ask in (
            lambda: client.predict(image_of(1)),
            lambda: list(client.stream([image_of(1)])),
            lambda: pipeline.predict(image_of(1)),
            lambda: pipeline.predict(image_of(1)),
        ):
            with pytest.raises(TokenError, match=r"^the vault is away$"):
                ask()


def test_a_token_for_this_machine_takes_no_proxy(
    up: Guarded, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GRPC would send even what is for localhost through one, in plain text."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    token = tokens.add("n")
    up.look()
    address = up.up.address.replace("127.0.0.1", "localhost")
    with DigitClient(address, token=token) as client:
        assert client.predict(image_of(6)).digit == 6


# --- TLS -----------------------------------------------------------------------------------------


class _Echo(digits_pb2_grpc.DigitServiceServicer):  # type: ignore[misc]  # generated
    """Remembers who called, and with which token."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def Predict(self, _: object, context: Any) -> digits_pb2.PredictResponse:  # noqa: N802 - gRPC's
        names = context.auth_context().get("x509_common_name", [b""])
        metadata = dict(context.invocation_metadata())
        self.seen.append((names[0].decode(), metadata.get("authorization", "")))
        return digits_pb2.PredictResponse(predictions=[digits_pb2.Prediction(digit=5)])


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[str, _Echo, Authority]]:
    """A server that wants a certificate of one authority."""
    authority = Authority("ours", tmp_path)
    cert, key = authority.issue("server", "localhost")
    echo = _Echo()
    server = grpc.server(ThreadPoolExecutor(2))
    digits_pb2_grpc.add_DigitServiceServicer_to_server(echo, server)
    pair = (key.read_bytes(), cert.read_bytes())
    asked = grpc.ssl_server_credentials([pair], authority.path.read_bytes(), True)
    port = server.add_secure_port("localhost:0", asked)
    server.start()
    yield f"localhost:{port}", echo, authority
    server.stop(None).wait()


def test_tls_with_a_certificate_of_ones_own(secure: tuple[str, _Echo, Authority]) -> None:
    """And a token beside it."""
    address, echo, authority = secure
    cert, key = authority.issue("camera-7")
    with DigitClient(address, tls=Tls(authority.path, cert, key), token=ANY) as client:
        assert client.predict(image_of(0)).digit == 5
    assert echo.seen == [("camera-7", "Bearer t")]


def test_tls_takes_both_halves(tmp_path: Path) -> None:
    """A certificate is of no use without its key; nor are two ways to say TLS."""
    cert, _ = Authority("a", tmp_path).issue("c")
    with pytest.raises(ValueError, match="one of them"):
        DigitClient(tls=Tls(cert=cert))
    with pytest.raises(ValueError, match="got both"):
        DigitClient(tls=True, credentials=grpc.ssl_channel_credentials())


# --- the command ---------------------------------------------------------------------------------


def run(*arguments: object, **environment: str) -> Result:
    """Runs the command in this process."""
    return CliRunner().invoke(main, list(map(str, arguments)), env=environment)


def test_the_command_reads_the_token_from_a_file(up: Guarded, tokens: Tokens) -> None:
    """Named by an option or a variable; whatever is wrong is one line."""
    file = tokens.path.with_name("token")
    file.write_text(tokens.add("n") + "\n", encoding="ascii")
    up.look()
    at = ("--address", up.up.address)
    assert run("predict", PGM, *at, "--token-file", file).exit_code == 0
    assert run("predict", PGM, *at, DIGITSERVE_TOKEN_FILE=str(file)).exit_code == 0
    assert run("models", "list", *at, "--token-file", file).exit_code == 0
    assert run("stream", PGM, *at, "--token-file", file).exit_code == 0
    without = run("predict", PGM, *at)
    assert without.exit_code == 5
    assert "expected a credential" in without.stderr
    file.write_text("two words", encoding="ascii")
    broken = run("predict", PGM, *at, "--token-file", file)
    assert broken.exit_code == 7
    assert "two words" not in broken.stderr
    assert len(broken.stderr.splitlines()) == 1


def test_bench_shows_the_token_too(up: Guarded, tokens: Tokens) -> None:
    """A guarded server can be measured."""
    file = tokens.path.with_name("token")
    file.write_text(tokens.add("n"), encoding="ascii")
    up.look()
    told = run(
        *("bench", "--address", up.up.address, "--token-file", file),
        *("--seconds", "0.2", "--warm-up", "0", "--json", "-"),
    )
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout.splitlines()[-1])


def test_the_command_sends_no_token_in_plain_text(tmp_path: Path) -> None:
    """To another machine, unless told so in so many words."""
    file = tmp_path / "token"
    file.write_text("t", encoding="ascii")
    at = ("health", "--address", "digits.invalid:1", "--timeout", 5, "--token-file", file)
    refused = run(*at)
    assert refused.exit_code == 7
    assert "plain text" in refused.stderr
    assert run(*at, "--token-in-plain-text").exit_code == 4  # there is no such server


def test_the_command_speaks_tls(secure: tuple[str, _Echo, Authority], tmp_path: Path) -> None:
    """With a certificate of its own."""
    address, echo, authority = secure
    cert, key = authority.issue("camera-7")
    file = tmp_path / "token"
    file.write_text("t", encoding="ascii")
    told = ("--address", address, "--ca", authority.path, "--token-file", file)
    assert run("predict", PGM, *told, "--cert", cert, "--key", key).exit_code == 0
    assert echo.seen == [("camera-7", "Bearer t")]
    half = run("predict", PGM, *told, "--cert", cert)
    assert half.exit_code == 2
    assert "--cert and --key" in half.stderr
