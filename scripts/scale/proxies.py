"""Servers on hosts of their own and proxies in front, with the files of `deploy/` as they are.

caller ──TLS──▶ proxy ──mTLS──▶ one 10.77.0.11
(us)            by DNS     └──▶ two …
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol, Self

import grpc

from digitserve.client import DigitClient
from digitserve.client.errors import DigitServeError, Unauthenticated
from proving import Shortfall
from scale.hosts import Host, Network
from scale.proxy_kinds import NAME, PORT, Keys, Kind
from scale.ways import alone
from support.command import Command
from support.scrape import Figures, scraped

ROOT = Path(__file__).resolve().parents[2]
PROXY_PORT = 8443
_METRICS_PORT = 9464
# What a proxy listens to: callers, its admin interface, probes.
_PORTS = (str(PROXY_PORT), "9901", "9090")
# Of a server's figures: calls that it answered, streams that are open.
PREDICTED = 'digitserve_calls_total{code="OK",method="digitserve.v1.DigitService/Predict"}'
STREAMS = 'digitserve_open_streams{method="digitserve.v1.DigitService/StreamPredict"}'
# The notebook's network, as the conformance cases expect.
_BUNDLE = ROOT / "server/digitserve/server/bundled/1"
# Seconds for a proxy to find the servers, and to find them well.
_FOUND_S = 20.0


@dataclass
class Servers:
    """The servers behind a name.

    Attributes:
        running: each one's process, by its host's name.
    """

    network: Network
    keys: Keys
    flags: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    running: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    def start(self, name: str) -> Host:
        """Starts a server on this host, and waits until it serves."""
        host = self.network.host(name)
        cert, key = map(str, self.keys.server)
        process = host.start(
            *(sys.executable, "-m", "digitserve.server", "--address", f"{host.address}:{PORT}"),
            *("--tls-cert", cert, "--tls-key", key, "--tls-client-ca", str(self.keys.inside.path)),
            *("--models", str(_BUNDLE), "--metrics", f"{host.address}:{_METRICS_PORT}"),
            *self.flags,
            env=dict(self.variables),
            log=subprocess.DEVNULL,
        )
        self.running[name] = process
        assert process.stdout is not None
        if not process.stdout.readline().startswith("serving on "):
            raise Shortfall(f"the server on {name} did not start")
        return host

    def publish(self, *names: str) -> None:
        """What the DNS answers from now on: these hosts."""
        self.network.names[NAME] = [self.network.host(each).address for each in names]

    def stop(self, name: str, how: signal.Signals) -> None:
        """Signals a server, and waits for its end."""
        process = self.running[name]
        process.send_signal(how)
        process.wait(timeout=60)

    def figures(self) -> dict[str, Figures]:
        """What each says of itself."""
        return {
            name: scraped(f"{self.network.host(name).address}:{_METRICS_PORT}")
            for name in self.running
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.running.values():
            process.kill()
            process.wait()


class Place(Protocol):
    """Where a program can run: a host, or this machine."""

    @property
    def name(self) -> str:
        """What it is called by who connects."""

    def start(
        self, *command: str, env: dict[str, str] | None = None, log: int | None = None
    ) -> subprocess.Popen[str]:
        """Starts a program there; its stdout is a pipe, its stderr goes to `log`."""


class Loopback:
    """This machine, where ports are whose they happen to be."""

    name = "localhost"

    def start(
        self, *command: str, env: dict[str, str] | None = None, log: int | None = None
    ) -> subprocess.Popen[str]:
        """Starts a program."""
        told = os.environ | (env or {})
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=told)


@dataclass(frozen=True)
class Proxy:
    """A running proxy.

    Attributes:
        kind: which.
        address: where callers reach it, by the name that its certificate has.
        log: what it says.
        keys: its certificates.
        process: its process.
        cut_off_s: seconds within which it leaves a server that fell silent.
    """

    kind: Kind
    address: str
    log: Path
    keys: Keys
    process: subprocess.Popen[str]
    # What the files of `deploy/` promise: Envoy leaves a silent server after two intervals and two
    # timeouts of its health check, of a second each, or when a ping of its connection is not
    # answered (1 s and 3 s); HAProxy after 3.5 s.
    cut_off_s: float = 4.0

    @property
    def name(self) -> str:
        """As its kind."""
        return self.kind.name

    def resident_bytes(self) -> int:
        """What it holds in memory."""
        return Command(self.process, self.address).resident_bytes()

    def client(self) -> DigitClient:
        """A client of its own, which trusts it."""
        return DigitClient(self.address, tls=self.keys.tls)

    def channel(self) -> grpc.Channel:
        """A channel of its own, which asks nothing twice."""
        return alone(self.address, self.keys.tls)


@contextmanager
def proxy(
    kind: Kind,
    place: Place,
    keys: Keys,
    changed: Callable[[str], str] = str,
    port: int = PROXY_PORT,
) -> Iterator[Proxy]:
    """Starts a proxy, and waits until it passes a call on.

    Args:
        kind: which.
        place: where it runs.
        keys: its certificates.
        changed: what is to be other than in its committed file.
        port: where it listens then.
    """
    log = keys.folder / f"{kind.name}.log"
    with log.open("w+", encoding="utf-8") as said:
        process = place.start(
            *("sh", "-c", 'exec "$@" >&2', "sh", *kind.command(kind.configured(keys, changed))),
            env=kind.libraries(),
            log=said.fileno(),
        )
        up = Proxy(kind, f"{place.name}:{port}", log, keys, process)
        try:
            _answers(up)
            yield up
        finally:
            process.kill()
            process.wait()


def _answers(up: Proxy) -> None:
    until = time.monotonic() + _FOUND_S
    with up.client() as client:
        while True:
            try:
                client.health("readiness", timeout=1.0)
            except Unauthenticated:
                return
            except DigitServeError as error:
                if up.process.poll() is None and time.monotonic() < until:
                    time.sleep(0.1)
                    continue
                said = up.log.read_text(encoding="utf-8")[-2000:]
                raise Shortfall(f"{up.kind.name} passes nothing on: {error}\n{said}") from None
            return


@contextmanager
def lone_proxy(kind: Kind, server: str, keys: Keys, *, tls: bool) -> Iterator[Proxy]:
    """A proxy on the loopback, in front of one server there, as `Kind.before` says."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in _PORTS]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        free = [str(each.getsockname()[1]) for each in sockets]
    own = dict(zip(_PORTS, free, strict=True))

    def changed(text: str) -> str:
        return kind.before(re.sub("|".join(own), lambda at: own[at[0]], text), server, tls)

    with proxy(kind, Loopback(), keys, changed, int(free[0])) as up:
        yield up


@contextmanager
def site(
    network: Network,
    *kinds: Kind,
    flags: tuple[str, ...] = (),
    changed: Callable[[str], str] = str,
    variables: Mapping[str, str] | None = None,
) -> Iterator[tuple[Servers, list[Proxy]]]:
    """Three servers, `one` to `three`, and these proxies in front of them.

    Args:
        network: where.
        kinds: which proxies.
        flags: of the servers.
        changed: what is to be other in the proxies' files.
        variables: of the servers' environment.
    """
    with ExitStack() as stack:
        keys = Keys(Path(stack.enter_context(TemporaryDirectory())))
        servers = stack.enter_context(Servers(network, keys, flags, variables or {}))
        for name in ("one", "two", "three"):
            servers.start(name)
        servers.publish("one", "two", "three")
        proxies = []
        for kind in kinds:
            host = network.host(kind.name)
            network.names[kind.name] = [host.address]
            proxies.append(stack.enter_context(proxy(kind, host, keys, changed)))
        yield servers, proxies
