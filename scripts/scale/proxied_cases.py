"""Every conformance case through a proxy: the real server behind one, and each odd one too."""

import sys
from collections.abc import Iterator
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
from scale.proxies import lone_proxy
from scale.proxy_kinds import Keys, Kind


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
            up = stack.enter_context(lone_proxy(kind, server["address"], keys, tls=bool(ca)))
            proxied[name] = {"address": up.address, "ca": str(keys.callers.path)}
        yield proxied
