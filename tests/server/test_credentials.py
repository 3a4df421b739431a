"""Who may do what: whoever shows nothing good reaches no handler, and learns nothing."""

import hashlib
import hmac
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from digitserve.server.adapters.open_inference import messages as open_inference
from digitserve.server.adapters.tensorflow_serving import messages as tensorflow_serving
from digitserve.server.guard.scopes import Scope, scope_of
from digitserve.server.guard.tokens import make_token
from digitserve.v1 import digits_pb2, models_pb2
from support.engines import image_of
from support.guarded import Guarded, Tokens, bearer, guarding
from support.keys import forged, public_pem, rs256, rsa_key, signed
from support.serving import Serving
from support.talk import reason_of

_DIGITS, _MODELS = "/digitserve.v1.DigitService", "/digitserve.v1.ModelService"
_OPEN_INFERENCE, _TENSORFLOW = "/inference.GRPCInferenceService", "/tensorflow.serving"
PREDICT = [
    f"{_DIGITS}/Predict",
    f"{_DIGITS}/StreamPredict",
    f"{_MODELS}/GetLimits",
    f"{_MODELS}/ListVersions",
    *(
        f"{_OPEN_INFERENCE}/{name}"
        for name in (
            "ServerMetadata",
            "ModelMetadata",
            "ModelInfer",
            "ModelStreamInfer",
            "ModelConfig",
            "ModelStatistics",
            "RepositoryIndex",
        )
    ),
    f"{_TENSORFLOW}.PredictionService/Predict",
    f"{_TENSORFLOW}.PredictionService/GetModelMetadata",
    f"{_TENSORFLOW}.ModelService/GetModelStatus",
]
ADMIN = [
    f"{_MODELS}/{name}"
    for name in ("LoadVersion", "PromoteVersion", "RollBackVersion", "UnloadVersion", "SetLabel")
]
ADMIN += [f"{_OPEN_INFERENCE}/RepositoryModel{change}" for change in ("Load", "Unload")]
# Whoever balances the load has no credential.
OPEN = [f"{_OPEN_INFERENCE}/{name}" for name in ("ServerLive", "ServerReady", "ModelReady")]
UNAUTHENTICATED, DENIED = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED


@dataclass(frozen=True)
class Held:
    """The tokens that callers hold."""

    good: str
    expired: str
    revoked: str
    reader: str
    keeper: str


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Tokens:
    """The file that knows them."""
    return Tokens(tmp_path_factory.mktemp("guard"))


@pytest.fixture(scope="module")
def held(tokens: Tokens) -> Held:
    """A caller of each kind."""
    both = ("predict", "admin")
    held = Held(
        good=tokens.add("good", *both),
        expired=tokens.add("old", *both, expires="2020-01-01T00:00:00Z"),
        revoked=tokens.add("gone", *both),
        reader=tokens.add("reader", "predict"),
        keeper=tokens.add("keeper", "admin"),
    )
    tokens.revoke("gone")
    return held


@pytest.fixture(scope="module")
def up(tokens: Tokens, held: Held) -> Iterator[Guarded]:
    """A guarded server, shared by the tests of this module."""
    with pytest.MonkeyPatch.context() as patch, guarding(tokens, patch) as up:
        yield up


def refused(
    up: Guarded, path: str, metadata: Any, data: bytes = b""
) -> tuple[grpc.StatusCode, str]:
    """How a call, of whichever kind, is refused: by its bytes, for nobody is to read them."""
    with up.up.channel() as channel:
        stream: Any = channel.stream_stream(path)
        unary: Any = channel.unary_unary(path)

        def call() -> object:
            if path.endswith(("StreamPredict", "StreamInfer")):
                return list(stream(iter([data]), metadata=metadata, timeout=30))
            return unary(data, metadata=metadata, timeout=30)

        with pytest.raises(grpc.RpcError) as raised:
            call()
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
BAD: dict[str, tuple[Callable[[Held], str | None], tuple[grpc.StatusCode, str]]] = {
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
        lambda _: "Bearer " + forged({"alg": "RS256", "kid": "k1", "crit": ["exp"]}, rs256),
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
    up: Guarded, held: Held, path: str, shown: str
) -> None:
    """Of any method; also not the message, whose bytes here are none."""
    make, expected = BAD[shown]
    header = make(held)
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
    up: Guarded, held: Held, paths: list[str], scoped: str
) -> None:
    """Neither scope implies the other."""
    token = signed() if scoped == "jwt" else getattr(held, scoped)
    up.reached.clear()
    for path in paths:
        assert refused(up, path, bearer(token)) == (DENIED, "SCOPE_MISSING")
    assert up.reached == []


def test_every_method_is_covered_here(up: Guarded) -> None:
    """A new method is a new row above."""
    own = (
        *digits_pb2.DESCRIPTOR.services_by_name.values(),
        *models_pb2.DESCRIPTOR.services_by_name.values(),
    )
    adapters = (
        open_inference.PROTOCOL.pool().FindServiceByName(_OPEN_INFERENCE[1:]),
        *(
            tensorflow_serving.PROTOCOL.pool().FindServiceByName(f"{_TENSORFLOW[1:]}.{name}")
            for name in ("PredictionService", "ModelService")
        ),
    )
    there = {
        f"/{service.full_name}/{method.name}"
        for service in (*own, *adapters)
        for method in service.methods
    }
    assert there == {*PREDICT, *ADMIN, *OPEN}


def test_a_service_that_nobody_wrote_down_is_closed() -> None:
    """It wants the most, until somebody says what it wants."""
    assert scope_of("somebody.else.Service", "Method") is Scope.ADMIN
    assert scope_of("digitserve.v1.ModelService", "New") is Scope.ADMIN


@pytest.mark.parametrize("kind", ["token", "token, odd case", "jwt", "jwt, scp", "jwt, by hand"])
def test_a_good_credential_is_let_in(up: Guarded, held: Held, kind: str) -> None:
    """A token, a JWT; the scheme's case does not matter."""
    header = {
        "token": f"Bearer {held.good}",
        "token, odd case": f"bEARER {held.good}",
        "jwt": f"Bearer {signed()}",
        "jwt, by hand": "Bearer " + forged({"alg": "RS256", "kid": "k1"}, rs256),
        "jwt, scp": f"Bearer {signed(scope=None, scp=['predict', 'email'])}",
    }[kind]
    request = digits_pb2.PredictRequest(pixels=image_of(7))
    with up.up.digits() as stub:
        response = stub.Predict(request, metadata=[("authorization", header)])
    assert response.predictions[0].digit == 7
    assert up.reached[-1] == PREDICT[0]


def test_a_known_caller_may_send_junk(up: Guarded, held: Held) -> None:
    """It is his fault then, and is said so."""
    metadata = bearer(held.good)
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


def test_without_credentials_to_go_by_there_is_no_guard(serving: Serving) -> None:
    """And so nothing is paid for it."""
    assert serving.server.guard is None


def test_the_log_holds_no_token(up: Guarded, held: Held, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever is shown, and however it is refused."""
    with caplog.at_level(logging.DEBUG):
        shown = [make(held) for make, _ in BAD.values()]
        for header in filter(None, shown):
            for path in (*PREDICT, ADMIN[0]):
                refused(up, path, [("authorization", header)], b"\xff")
        for token in (held.good, signed()):
            refused(up, PREDICT[0], bearer(token), b"\xff")
        up.look()
    text = caplog.text + str([record.args for record in caplog.records])
    for token in (held.good, held.reader, held.expired, held.revoked):
        assert token.partition(".")[2] not in text
    assert "eyJ" not in text  # how every JWT begins
