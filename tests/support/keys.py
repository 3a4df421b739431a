"""Keys, JWTs and certificates, made when a test runs: none is in the tree."""

import base64
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

ISSUER, AUDIENCE = "https://issuer.test", "digits"


@cache
def rsa_key(name: str = "first") -> rsa.RSAPrivateKey:
    """An RSA key; the same for the same name."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def ec_key(name: str = "first") -> ec.EllipticCurvePrivateKey:
    """A key on P-256; the same for the same name."""
    return ec.generate_private_key(ec.SECP256R1())


def public_pem(key: rsa.RSAPrivateKey) -> bytes:
    """Its public half, as everybody may have it."""
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def write_jwks(path: Path, *keys: Mapping[str, Any]) -> None:
    """Writes a JWKS file anew."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps({"keys": keys}), encoding="utf-8")
    partial.replace(path)


def jwk(key: Any, kid: str, **more: Any) -> dict[str, Any]:
    """The public half of a key, as an entry of a JWKS."""
    algorithm: Any = jwt.algorithms.RSAAlgorithm
    if isinstance(key, ec.EllipticCurvePrivateKey):
        algorithm = jwt.algorithms.ECAlgorithm
    told: dict[str, Any] = json.loads(algorithm.to_jwk(key.public_key()))
    return told | {"kid": kid} | more


def claims(**more: Any) -> dict[str, Any]:
    """What a good JWT says; what is None is left out."""
    told = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "robot",
        "scope": "predict openid",
        "exp": time.time() + 600,
    }
    return {name: value for name, value in (told | more).items() if value is not None}


def signed(key: Any = None, kid: str | None = "k1", algorithm: str = "RS256", **more: Any) -> str:
    """A JWT; a good one unless told otherwise."""
    headers = None if kid is None else {"kid": kid}
    return jwt.encode(claims(**more), key or rsa_key(), algorithm, headers=headers)


def forged(header: Mapping[str, Any], sign: Callable[[bytes], bytes] = lambda _: b"") -> str:
    """A JWT that no library would make."""

    def part(told: bytes) -> str:
        return base64.urlsafe_b64encode(told).rstrip(b"=").decode()

    body = ".".join([part(json.dumps(each).encode()) for each in (header, claims())])
    return f"{body}.{part(sign(body.encode()))}"


def rs256(body: bytes) -> bytes:
    """What RS256 makes of it with `rsa_key()`."""
    return rsa_key().sign(body, padding.PKCS1v15(), hashes.SHA256())


@dataclass(frozen=True)
class Authority:
    """Who vouches for certificates."""

    name: str
    folder: Path

    @property
    def path(self) -> Path:
        """Its own certificate."""
        return self.folder / f"{self.name}.ca.pem"

    def __post_init__(self) -> None:
        key, name = ec_key(self.name), _named(self.name)
        made = _builder(name, name, key).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        self.path.write_bytes(_pem(made.sign(key, hashes.SHA256())))

    def issue(self, common_name: str, *names: str) -> tuple[Path, Path]:
        """A certificate for these DNS names, and its key."""
        key = ec_key(f"{self.name}/{common_name}")
        made = _builder(_named(common_name), _named(self.name), key)
        if names:
            alternatives = x509.SubjectAlternativeName([x509.DNSName(each) for each in names])
            made = made.add_extension(alternatives, critical=False)
        cert = self.folder / f"{self.name}.{common_name}.pem"
        cert.write_bytes(_pem(made.sign(ec_key(self.name), hashes.SHA256())))
        secret = cert.with_suffix(".key")
        secret.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return cert, secret


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(subject: x509.Name, issuer: x509.Name, key: Any) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
