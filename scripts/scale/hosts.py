"""Hosts: network namespaces on one switch, whose cables can be pulled, and a DNS that knows them.

caller 10.77.0.1 ──┐            ┌── one 10.77.0.11
(this process)     ├── switch ──┼── two 10.77.0.12
DNS  10.77.0.1:53 ─┘            └── …
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any, Self

from dnslib import QTYPE, RR, A
from dnslib.server import BaseResolver, DNSServer

from scale.sandbox import resolve_at

_SWITCH = "switch"
_NET = "10.77.0"
CALLER = f"{_NET}.1"
# The first host's.
_FIRST = 11
# Seconds for which an answer of the DNS may be kept.
_TTL_S = 1


@dataclass(frozen=True)
class Host:
    """A machine, as far as the network is concerned.

    Attributes:
        name: its name.
        address: its address, without a port.
    """

    name: str
    address: str

    def start(
        self,
        *command: str,
        env: dict[str, str] | None = None,
        log: IO[str] | int | None = None,
    ) -> subprocess.Popen[str]:
        """Starts a program on it; its stdout is a pipe, its stderr goes to `log`."""
        return subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{self.name}", *command],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=os.environ
            | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
            | (env or {}),
        )

    def cut(self) -> None:
        """Pulls its cable: nothing comes or goes, and nobody is told."""
        _ip("link", "set", _port(self.name), "down")

    def mend(self) -> None:
        """Plugs it in again."""
        _ip("link", "set", _port(self.name), "up")


class _Names(BaseResolver):  # type: ignore[misc]
    """Answers with the addresses that a name has now."""

    def __init__(self, names: Mapping[str, list[str]]) -> None:
        self._names = names

    def resolve(self, request: Any, handler: Any) -> Any:  # noqa: ARG002 - dnslib's name
        """The answer to a request."""
        reply = request.reply()
        name = str(request.q.qname).removesuffix(".")
        if request.q.qtype in (QTYPE.A, QTYPE.ANY):
            for address in self._names.get(name, []):
                reply.add_answer(RR(request.q.qname, QTYPE.A, rdata=A(address), ttl=_TTL_S))
        return reply


@dataclass
class Network:
    """The switch and what is plugged into it; to be made inside a sandbox, once.

    Attributes:
        names: the addresses of each name, which may change at any time.
    """

    names: dict[str, list[str]] = field(default_factory=dict)
    _hosts: dict[str, Host] = field(default_factory=dict)

    def __enter__(self) -> Self:
        _ip("link", "add", _SWITCH, "type", "bridge")
        _ip("address", "add", f"{CALLER}/24", "dev", _SWITCH)
        _ip("link", "set", _SWITCH, "up")
        self._dns = DNSServer(_Names(self.names), address=CALLER, port=53, logger=_Silent())
        self._dns.start_thread()
        resolve_at(CALLER)
        return self

    def __exit__(self, *_: object) -> None:
        self._dns.stop()
        for host in self._hosts.values():
            _ip("netns", "delete", host.name)
        _ip("link", "delete", _SWITCH)

    def host(self, name: str) -> Host:
        """A host, plugged in; the same for the same name."""
        if (known := self._hosts.get(name)) is not None:
            return known
        made = Host(name, f"{_NET}.{_FIRST + len(self._hosts)}")
        _ip("netns", "add", name)
        _ip("link", "add", _port(name), "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("link", "set", _port(name), "master", _SWITCH, "up")
        _ip("-n", name, "address", "add", f"{made.address}/24", "dev", "eth0")
        for device in ("eth0", "lo"):
            _ip("-n", name, "link", "set", device, "up")
        _ip("-n", name, "route", "add", "default", "via", CALLER)
        self._hosts[name] = made
        return made


class _Silent:
    """Logs nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


@contextmanager
def away(host: Host) -> Iterator[None]:
    """A host is cut off while the block runs."""
    host.cut()
    try:
        yield
    finally:
        host.mend()


def _port(name: str) -> str:
    """The switch's end of a host's cable."""
    return f"to-{name}"


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
