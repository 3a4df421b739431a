"""Who may do what: whoever shows nothing good reaches no handler, and learns nothing."""

import asyncio
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from digitserve.server.app import MissingExtra
from digitserve.server.config import Config
from digitserve.server.errors import CredentialMissing, CredentialWrong, DomainError
from digitserve.server.guard import GuardError
from digitserve.server.guard.credentials import Credentials
from digitserve.server.guard.guarding import guarded
from digitserve.server.guard.scopes import Scope, scope_of
from digitserve.server.guard.tokens import make_token
from digitserve.server.services.digits import digit_service
from digitserve.v1 import digits_pb2, models_pb2
from support.engines import image_of
from support.guarded import Guarded, Tokens, bearer, guarding
from support.keys import ec_key, forged, jwk, public_pem, rsa_key, signed, write_jwks
from support.talk import Talking, frame, reason_of

_DIGITS, _MODELS = "/digitserve.v1.DigitService", "/digitserve.v1.ModelService"
PREDICT = [
    f"{_DIGITS}/Predict",
    f"{_DIGITS}/StreamPredict",
    f"{_MODELS}/GetLimits",
    f"{_MODELS}/ListVersions",
]
ADMIN = [
    f"{_MODELS}/{name}"
    for name in ("LoadVersion", "PromoteVersion", "RollBackVersion", "UnloadVersion", "SetLabel")
]
UNAUTHENTICATED, DENIED = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED
LONG_AGO = "2020-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Tokens:
    """A file with a caller of each kind."""
    tokens = Tokens(tmp_path_factory.mktemp("guard"))
    tokens.good = tokens.add("good", "predict", "admin")  # type: ignore[attr-defined]
    tokens.expired = tokens.add("old", "predict", "admin", expires=LONG_AGO)  # type: ignore[attr-defined]
    tokens.revoked = tokens.add("gone", "predict", "admin")  # type: ignore[attr-defined]
    tokens.reader = tokens.add("reader", "predict")  # type: ignore[attr-defined]
    tokens.keeper = tokens.add("keeper", "admin")  # type: ignore[attr-defined]
    tokens.revoke("gone")
    return tokens


@pytest.fixture(scope="module")
def up(tokens: Tokens) -> Iterator[Guarded]:
    """A guarded server, shared by the tests of this module."""
    with pytest.MonkeyPatch.context() as patch, guarding(tokens, patch) as up:
        yield up


def refused(
    up: Guarded, path: str, metadata: Any, data: bytes = b""
) -> tuple[grpc.StatusCode, str]:
    """How a call, of whichever kind, is refused: by its bytes, for nobody is to read them."""
    with up.up.channel() as channel, pytest.raises(grpc.RpcError) as raised:
        if path.endswith("StreamPredict"):
            list(channel.stream_stream(path)(iter([data]), metadata=metadata, timeout=30))
        else:
            channel.unary_unary(path)(data, metadata=metadata, timeout=30)
    status = rpc_status.from_call(raised.value)
    return raised.value.code(), "" if status is None else reason_of(status)


def _hs_with_the_public_key(algorithm: str = "HS256") -> str:
    def sign(body: bytes) -> bytes:
        return hmac.new(public_pem(rsa_key()), body, hashlib.sha256).digest()

    return forged({"alg": algorithm, "typ": "JWT", "kid": "k1"}, sign)


_MISSING = (UNAUTHENTICATED, "CREDENTIAL_MISSING")
_WRONG = (UNAUTHENTICATED, "CREDENTIAL_WRONG")
_EXPIRED = (UNAUTHENTICATED, "CREDENTIAL_EXPIRED")

# What is shown, by name: a header, made of the tokens that there are; and how it is refused.
BAD: dict[str, tuple[Callable[[Any], str | None], tuple[grpc.StatusCode, str]]] = {
    "missing": (lambda _: None, _MISSING),
    "empty": (lambda _: "", _MISSING),
    "another scheme": (lambda it: f"Basic {it.good}", _WRONG),
    "no scheme": (lambda it: it.good, _WRONG),
    "scheme alone": (lambda _: "Bearer", _WRONG),
    "no token": (lambda _: "Bearer ", _WRONG),
    "no dot": (lambda _: "Bearer " + "x" * 60, _WRONG),
    "two blanks": (lambda it: f"Bearer  {it.good}", _WRONG),
    "endless": (lambda it: "Bearer " + it.good + "x" * 5000, _WRONG),
    "wrong secret": (lambda it: f"Bearer {it.good[:-4]}AAAA", _WRONG),
    "secret cut": (lambda it: f"Bearer {it.good[:-1]}", _WRONG),
    "secret missing": (lambda it: f"Bearer {it.good.partition('.')[0]}.", _WRONG),
    "another's secret": (
        lambda it: f"Bearer {it.good.partition('.')[0]}.{it.reader.partition('.')[2]}",
        _WRONG,
    ),
    "unknown id": (lambda _: f"Bearer {make_token().token}", _WRONG),
    "expired": (lambda it: f"Bearer {it.expired}", _EXPIRED),
    "expired, wrong secret": (lambda it: f"Bearer {it.expired[:-4]}AAAA", _WRONG),
    "revoked": (lambda it: f"Bearer {it.revoked}", _WRONG),
    "jwt: alg none": (lambda _: "Bearer " + forged({"alg": "none", "kid": "k1"}), _WRONG),
    "jwt: alg nOnE": (lambda _: "Bearer " + forged({"alg": "nOnE", "kid": "k1"}), _WRONG),
    "jwt: HS256 by the public key": (lambda _: "Bearer " + _hs_with_the_public_key(), _WRONG),
    "jwt: says RS256, is HS256": (lambda _: "Bearer " + _hs_with_the_public_key("RS256"), _WRONG),
    "jwt: another algorithm": (lambda _: "Bearer " + signed(algorithm="RS512"), _WRONG),
    "jwt: another key": (lambda _: "Bearer " + signed(rsa_key("another")), _WRONG),
    "jwt: unknown kid": (lambda _: "Bearer " + signed(kid="k2"), _WRONG),
    "jwt: no kid": (lambda _: "Bearer " + signed(kid=None), _WRONG),
    "jwt: crit": (
        lambda _: "Bearer " + forged({"alg": "RS256", "kid": "k1", "crit": ["exp"]}),
        _WRONG,
    ),
    "jwt: wrong issuer": (lambda _: "Bearer " + signed(iss="https://evil.test"), _WRONG),
    "jwt: no issuer": (lambda _: "Bearer " + signed(iss=None), _WRONG),
    "jwt: wrong audience": (lambda _: "Bearer " + signed(aud="letters"), _WRONG),
    "jwt: no audience": (lambda _: "Bearer " + signed(aud=None), _WRONG),
    "jwt: expired": (lambda _: "Bearer " + signed(exp=time.time() - 60), _EXPIRED),
    "jwt: no expiry": (lambda _: "Bearer " + signed(exp=None), _WRONG),
    "jwt: not yet": (lambda _: "Bearer " + signed(nbf=time.time() + 600), _WRONG),
    "jwt: no subject": (lambda _: "Bearer " + signed(sub=None), _WRONG),
    "jwt: junk": (lambda _: "Bearer a.b.c", _WRONG),
    "jwt: nothing but dots": (lambda _: "Bearer ..", _WRONG),
}


@pytest.mark.parametrize("shown", BAD)
@pytest.mark.parametrize("path", [*PREDICT, *ADMIN])
def test_a_bad_credential_reaches_no_handler(
    up: Guarded, tokens: Tokens, path: str, shown: str
) -> None:
    """Of any method; also not the message, whose bytes here are none."""
    make, expected = BAD[shown]
    header = make(tokens)
    metadata = [] if header is None else [("authorization", header)]
    up.reached.clear()
    assert refused(up, path, metadata, b"\xff no message") == expected
    assert up.reached == []


@pytest.mark.parametrize(
    ("paths", "scoped"),
    [(PREDICT, "keeper"), (ADMIN, "reader"), (ADMIN, "jwt")],
    ids=["admin alone predicts", "predict changes", "a jwt changes"],
)
def test_a_credential_without_the_scope_reaches_no_handler(
    up: Guarded, tokens: Tokens, paths: list[str], scoped: str
) -> None:
    """Neither scope implies the other."""
    token = signed() if scoped == "jwt" else getattr(tokens, scoped)
    up.reached.clear()
    for path in paths:
        assert refused(up, path, bearer(token)) == (DENIED, "SCOPE_MISSING")
    assert up.reached == []


def test_every_method_is_covered_here(up: Guarded) -> None:
    """A new method is a new row above."""
    services = (digits_pb2.DESCRIPTOR, models_pb2.DESCRIPTOR)
    there = {
        f"/{service.full_name}/{method.name}"
        for file in services
        for service in file.services_by_name.values()
        for method in service.methods
    }
    assert there == {*PREDICT, *ADMIN}


def test_a_service_that_nobody_wrote_down_is_closed() -> None:
    """It wants the most, until somebody says what it wants."""
    assert scope_of("inference.GRPCInferenceService", "ModelInfer") is Scope.ADMIN
    assert scope_of("digitserve.v1.ModelService", "New") is Scope.ADMIN


@pytest.mark.parametrize("kind", ["token", "token, odd case", "jwt", "jwt, scp"])
def test_a_good_credential_is_let_in(up: Guarded, tokens: Tokens, kind: str) -> None:
    """A token, a JWT; the scheme's case does not matter."""
    header = {
        "token": f"Bearer {tokens.good}",  # type: ignore[attr-defined]
        "token, odd case": f"bEARER {tokens.good}",  # type: ignore[attr-defined]
        "jwt": f"Bearer {signed()}",
        "jwt, scp": f"Bearer {signed(scope=None, scp=['predict', 'email'])}",
    }[kind]
    request = digits_pb2.PredictRequest(pixels=image_of(7))
    with up.up.digits() as stub:
        response = stub.Predict(request, metadata=[("authorization", header)])
    assert response.predictions[0].digit == 7


def test_a_known_caller_may_send_junk(up: Guarded, tokens: Tokens) -> None:
    """It is his fault then, and is said so."""
    metadata = bearer(tokens.good)  # type: ignore[attr-defined]
    for path in (f"{_DIGITS}/Predict", f"{_MODELS}/GetLimits"):
        got = refused(up, path, metadata, b"\xff")
        assert got == (grpc.StatusCode.INVALID_ARGUMENT, "NOT_A_MESSAGE")


def test_health_and_reflection_are_open(up: Guarded) -> None:
    """Whoever balances the load has no credential."""
    with up.up.channel() as channel:
        health = health_pb2_grpc.HealthStub(channel)
        assert health.Check(health_pb2.HealthCheckRequest()).status == 1
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        asked = reflection_pb2.ServerReflectionRequest(list_services="")
        (told,) = stub.ServerReflectionInfo(iter([asked]))
        assert told.list_services_response.service


def test_reflection_can_be_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then that service is not there."""
    with guarding(Tokens(tmp_path), monkeypatch, reflection=False) as up, up.up.channel() as to:
        stub = reflection_pb2_grpc.ServerReflectionStub(to)
        with pytest.raises(grpc.RpcError) as raised:
            list(stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest()])))
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_without_a_guard_nothing_is_wrapped() -> None:
    """And so nothing is paid for it."""
    parts: Any = (Config(), None, None, None)
    service = digit_service(*parts)
    assert guarded(service, None) is service


# --- certificates --------------------------------------------------------------------------------


class _Shown:
    """A call that shows this."""

    def __init__(self, certificate: str = "", authorization: str = "") -> None:
        self._certificate, self._authorization = certificate, authorization

    def metadata(self, name: str) -> str:
        return self._authorization if name == "authorization" else ""

    def certificate(self) -> str:
        return self._certificate


def identify(tokens: Tokens, **shown: str) -> Any:
    """Who such a caller is; or the error."""
    call: Any = _Shown(**shown)
    try:
        return Credentials(Config(tokens=tokens.path), time.time).identify(call).name
    except DomainError as error:
        return type(error)


def test_a_certificate_is_an_identity(tmp_path: Path) -> None:
    """By its name; a token beside it is what counts, also if it is wrong."""
    tokens = Tokens(tmp_path)
    token = tokens.add("holder")
    tokens.add_certificate("line-3", "predict")
    assert identify(tokens, certificate="line-3") == "line-3"
    assert identify(tokens, certificate="line-4") is CredentialWrong
    assert identify(tokens) is CredentialMissing
    both = identify(tokens, certificate="line-3", authorization=f"Bearer {token}")
    assert both == "holder"
    wrong = identify(tokens, certificate="line-3", authorization="Bearer x.y")
    assert wrong is CredentialWrong


# --- the files -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON, line 1"),
        ("[]", "the file: expected an object"),
        ('{"token": []}', "'token': no such key"),
        ('{"tokens": [{"id": "a", "name": "n"}]}', "tokens[0].scopes: expected a list"),
        ('{"certificates": [{"name": "n", "scopes": ["root"]}]}', "certificates[0].scopes"),
        ('{"certificates": [{"name": "a\\nb", "scopes": []}]}', "certificates[0].name"),
        ('{"limits": {"images_per_second": -1}}', "limits.images_per_second: expected a number"),
        ('{"limits": {"streams": true}}', "limits.streams: expected a whole number"),
        (
            '{"certificates": [{"name": "n", "scopes": []}, {"name": "n", "scopes": []}]}',
            "once",
        ),
        (
            '{"tokens": [{"id": "a", "name": "n", "scopes": [], "expires": "2030-01-01"}]}',
            "tokens[0].expires: expected an instant",
        ),
    ],
)
def test_a_wrong_file_is_told_by_its_key(tmp_path: Path, text: str, said: str) -> None:
    """In one line, before the server starts."""
    path = tmp_path / "tokens.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(GuardError) as raised:
        Credentials(Config(tokens=path), time.time)
    assert said in str(raised.value)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_error_never_tells_a_value(tmp_path: Path) -> None:
    """Somebody may have pasted a secret where its digest belongs."""
    tokens, secret = Tokens(tmp_path), make_token().token
    tokens.add("n")
    tokens.set("n", sha256=secret)
    with pytest.raises(GuardError) as raised:
        Credentials(Config(tokens=tokens.path), time.time)
    assert secret not in str(raised.value)


def test_a_broken_file_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What was read before holds on, and the log has one line of it."""
    tokens = Tokens(tmp_path)
    token = tokens.add("n")
    known = Credentials(Config(tokens=tokens.path), time.time)
    call: Any = _Shown(authorization=f"Bearer {token}")
    for break_it in (lambda: tokens.path.write_text("{"), tokens.path.unlink):
        caplog.clear()
        break_it()
        assert [known.look() for _ in range(3)] == [False] * 3
        assert len(caplog.records) == 1
        assert known.identify(call).name == "n"
    tokens.revoke("n")
    assert known.look() is True
    with pytest.raises(CredentialWrong):
        known.identify(call)


def test_keys_rotate(tmp_path: Path) -> None:
    """A JWT by a new key is let in when the file has it; one by a key that is gone is not."""
    jwks = tmp_path / "jwks.json"
    write_jwks(jwks, jwk(rsa_key(), "k1", use="sig"))
    config = Config(jwks=jwks, jwt_issuer="https://issuer.test", jwt_audience="digits")
    known = Credentials(config, time.time)
    old: Any = _Shown(authorization=f"Bearer {signed()}")
    new: Any = _Shown(authorization=f"Bearer {signed(ec_key(), 'k2', 'ES256')}")
    assert known.identify(old).name == "robot"
    with pytest.raises(CredentialWrong):
        known.identify(new)
    write_jwks(jwks, jwk(ec_key(), "k2"))
    assert known.look() is True
    assert known.identify(new).name == "robot"
    with pytest.raises(CredentialWrong):
        known.identify(old)


@pytest.mark.parametrize(
    "unfit",
    [
        {"kty": "oct", "kid": "k1", "k": "c2VjcmV0"},
        jwk(rsa_key(), "k1", use="enc"),
        jwk(rsa_key(), "k1", alg="HS256"),
        jwk(ec_key(), "k1", alg="RS256"),
        {name: value for name, value in jwk(rsa_key(), "k1").items() if name != "kid"},
    ],
    ids=["a secret", "for encryption", "for HS256", "for another kind of key", "no kid"],
)
def test_a_key_that_is_not_for_this_is_not_taken(tmp_path: Path, unfit: Any) -> None:
    """A file with no other cannot be used."""
    jwks = tmp_path / "jwks.json"
    write_jwks(jwks, unfit)
    with pytest.raises(GuardError, match="found none"):
        Credentials(Config(jwks=jwks, jwt_issuer="i", jwt_audience="a"), time.time)


def test_a_missing_extra_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """JWTs take PyJWT, which the base install has not."""
    monkeypatch.setitem(__import__("sys").modules, "digitserve.server.guard.jwts", None)
    with pytest.raises(MissingExtra, match=r"digitserve\[jwt\]"):
        Credentials(Config(jwks=tmp_path / "j", jwt_issuer="i", jwt_audience="a"), time.time)


def test_jwts_take_issuer_and_audience(tmp_path: Path) -> None:
    """Without them a JWT for somebody else would be good here."""
    with pytest.raises(GuardError, match="issuer and an audience"):
        Credentials(Config(jwks=tmp_path / "j", jwt_issuer="i"), time.time)


# --- open streams --------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["revoked", "expired", "scope", "jwt expired"])
def test_an_open_stream_sees_that_its_credential_does_not_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """It gets a notice, its answers, and in band a refusal of what comes later."""
    tokens = Tokens(tmp_path)
    soon = datetime.fromtimestamp(time.time() + 3600, UTC).isoformat()
    token = tokens.add("camera", "predict", expires=soon)
    if end == "jwt expired":
        token = signed(exp=time.time() + 3600)

    def happen(up: Guarded) -> None:
        if end == "revoked":
            tokens.revoke("camera")
        elif end == "scope":
            tokens.set("camera", scopes=["admin"])
        else:
            up.wall.now += 3700

    async def scenario(up: Guarded) -> None:
        async with Talking(up.up) as talking:
            talk = talking.talk(metadata=bearer(token))
            await talk.say(frame(image_of(1)))
            assert (await talk.hear()).predicted.predictions[0].digit == 1
            await asyncio.to_thread(up.look)
            happen(up)
            await asyncio.to_thread(up.look)
            notice = (await talk.hear()).notice
            assert notice.reason == digits_pb2.Notice.REASON_CREDENTIAL_EXPIRING
            assert notice.accepted == 1
            await talk.say(frame(image_of(2)))
            assert reason_of((await talk.hear()).failed) == "DRAINING"
            assert await talk.end() == ([], grpc.StatusCode.OK)

    with guarding(tokens, monkeypatch) as up:
        asyncio.run(scenario(up))


def test_a_stream_that_does_not_leave_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """UNAUTHENTICATED, when its short grace is over; the server still drains cleanly."""
    tokens = Tokens(tmp_path)
    token = tokens.add("camera")

    async def scenario(up: Guarded) -> str:
        async with Talking(up.up) as talking:
            talk = talking.talk(metadata=bearer(token))
            await talk.say(frame(image_of(1)))
            await talk.hear()
            tokens.revoke("camera")
            await asyncio.to_thread(up.look)
            assert (await talk.hear()).HasField("notice")
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await talk.call.read()
            assert raised.value.code() is UNAUTHENTICATED
            return reason_of(rpc_status.from_call(raised.value))  # type: ignore[arg-type]

    with guarding(tokens, monkeypatch, credential_grace_s=0.05) as up:
        assert asyncio.run(scenario(up)) == "CREDENTIAL_EXPIRED"
        assert up.up.run(up.up.server.drain(0)) is True


def test_the_file_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without anybody's help: revoked now, refused soon."""
    tokens = Tokens(tmp_path)
    token = tokens.add("camera")
    request = digits_pb2.PredictRequest(pixels=image_of(7))
    with guarding(tokens, monkeypatch) as up, up.up.digits() as stub:
        stub.Predict(request, metadata=bearer(token))
        tokens.revoke("camera")
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                stub.Predict(request, metadata=bearer(token))
            except grpc.RpcError as error:
                assert error.code() is UNAUTHENTICATED
                return
            time.sleep(0.05)
    pytest.fail("a revoked token is still let in")


def test_the_log_holds_no_token(
    up: Guarded, tokens: Tokens, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever is shown, and however it is refused."""
    with caplog.at_level(logging.DEBUG):
        shown = [make(tokens) for make, _ in BAD.values()]
        shown += [f"Bearer {tokens.good}", f"Bearer {signed()}"]  # type: ignore[attr-defined]
        for header in filter(None, shown):
            for path in (*PREDICT, ADMIN[0]):
                refused(up, path, [("authorization", header)], b"\xff")
        up.look()
    text = caplog.text + json.dumps([str(record.args) for record in caplog.records])
    secrets = [tokens.good, tokens.reader, tokens.expired, tokens.revoked]  # type: ignore[attr-defined]
    for secret in secrets:
        assert secret.partition(".")[2] not in text
    assert "eyJ" not in text
