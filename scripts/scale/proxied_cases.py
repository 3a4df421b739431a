"""Every conformance case through a proxy: the real server behind one, and each odd one too."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from polyglot.compare import faults
from polyglot.languages import cases_for, fresh_tree, languages
from polyglot.servers import all_servers, real_server
from polyglot.trial import Trial, second_chance
from scale.hosts import Network
from scale.proxies import Keys, Kind, proxy


class _Here:
    """This machine's loopback, where the odd servers are."""

    name = "localhost"

    def start(
        self, *command: str, env: dict[str, str] | None = None, log: int | None = None
    ) -> subprocess.Popen[str]:
        """Starts a program."""
        told = os.environ | (env or {})
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=told)


def conformance(_: Network, kind: Kind) -> str:
    """Python's driver does every case, over TLS to the proxy; what failed, once more."""
    fresh_tree(keep=True)
    tried = first = _trial(kind)
    if first.faults:
        tried = second_chance(first, _trial(kind))
    again = f", {len(first.faults)} of them at the second try" if first.faults else ""
    return f"{tried.passed()}{again}"


def _trial(kind: Kind) -> Trial:
    (python,) = languages(["python"])
    driver = replace(python, spec=python.spec | {"run": [sys.executable, "driver.py"]})
    with real_server() as real, all_servers(real) as servers, _behind(kind, servers) as proxied:
        file = cases_for(proxied)
        outcomes = driver.run(file, proxied)
    return Trial(len(file["cases"]), outcomes, faults(file["cases"], outcomes))


@contextmanager
def _behind(kind: Kind, servers: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The same servers, each behind a proxy of its own, as `SERVERS.json` has them."""
    with ExitStack() as stack:
        proxied = {}
        for name, server in servers.items():
            keys = Keys(Path(stack.enter_context(TemporaryDirectory())))
            if ca := server.get("ca"):
                (keys.folder / "tls/servers/ca.crt").write_bytes(Path(ca).read_bytes())
            changed, port = _moved(kind, server["address"], tls=bool(ca))
            up = stack.enter_context(proxy(kind, _Here(), keys, changed, port))
            proxied[name] = {"address": up.address, "ca": str(keys.callers.path)}
        yield proxied


def _moved(kind: Kind, server: str, *, tls: bool) -> tuple[Callable[[str], str], int]:
    """The changes for a proxy in front of one server here, and the port where it listens."""
    ports = free_ports(3)

    def changed(text: str) -> str:
        own = dict(zip(("8443", "9901", "9090"), map(str, ports), strict=True))
        return kind.before(re.sub("|".join(own), lambda at: own[at[0]], text), server, tls)

    return changed, ports[0]


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that were free a moment ago."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
