"""The files behind credentials: what they may say, and what happens when they change."""

import errno
import os
import time
from pathlib import Path
from typing import Any

import pytest

from digitserve.server.app import MissingExtra
from digitserve.server.config import Config
from digitserve.server.errors import CredentialMissing, CredentialWrong, DomainError
from digitserve.server.guard import GuardError
from digitserve.server.guard.credentials import Credentials
from digitserve.server.guard.tokens import make_token
from support.guarded import Tokens
from support.keys import ec_key, jwk, rsa_key, signed, write_jwks


class _Shown:
    """A call that shows this."""

    def __init__(self, certificate: str = "", authorization: str = "") -> None:
        self._certificate, self._authorization = certificate, authorization

    def metadata(self, name: str) -> str:
        return self._authorization if name == "authorization" else ""

    def certificate(self) -> str:
        return self._certificate


def no_descriptor(*_: object) -> bytes:
    """As a file is opened when too many are."""
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


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


def test_what_could_not_be_read_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A token that was revoked when no descriptor was left is refused once there is one."""
    tokens = Tokens(tmp_path)
    token = tokens.add("n")
    known = Credentials(Config(tokens=tokens.path), time.time)
    tokens.revoke("n")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", no_descriptor)
        assert [known.look() for _ in range(3)] == [False] * 3
    assert len(caplog.records) == 1
    assert known.look() is True
    call: Any = _Shown(authorization=f"Bearer {token}")
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
    with pytest.raises(GuardError, match="jwt_issuer and jwt_audience"):
        Credentials(Config(jwks=tmp_path / "j", jwt_issuer="i"), time.time)
