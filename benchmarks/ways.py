"""`python -m benchmarks.ways`: what each way to a server costs, as ratios to asking it directly.

Envoy, HAProxy: one server with TLS.  The reference (and `again`) asks it directly, `ours` through
the proxy's committed file: TLS to the proxy, TLS with certificates on both sides behind it.  Ray
Serve: a node with one replica beside a server, both in plain text.  What stands before a server
shares the machine's cores with it and with the load, as it does not where it has a host of its own:
the calls a second are the worst case.
"""

import os
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "scripts")]
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import click  # noqa: E402

from benchmarks.http2 import Access  # noqa: E402
from benchmarks.rows import HEADING, Row, line, run  # noqa: E402
from benchmarks.subjects import FLAGS, Subject, images, median_us, subject_of  # noqa: E402
from scale import sandbox  # noqa: E402
from scale.hosts import Network  # noqa: E402
from scale.proxies import lone_proxy  # noqa: E402
from scale.proxy_kinds import KINDS, Keys, Kind  # noqa: E402
from scale.ray_nodes import cluster  # noqa: E402
from support.command import Command, server_command  # noqa: E402

_SLICE_S = 0.4
_MEASURES: dict[str, tuple[str, Callable[[Subject], float]]] = {
    "unary calls, 1 caller": ("calls/s", lambda up: up.unary(1, _SLICE_S).rate),
    "unary calls, 32 callers": ("calls/s", lambda up: up.unary(32, _SLICE_S).rate),
    "p50 of one caller": ("µs", lambda up: median_us(up.unary(1, _SLICE_S))),
    "frames of one stream": ("frames/s", lambda up: up.frames(1, _SLICE_S).rate),
    "frames of 16 streams": ("frames/s", lambda up: up.frames(16, _SLICE_S).rate),
}


@dataclass(frozen=True)
class Pair:
    """A way to a server, and the same server without it."""

    name: str
    ours: Subject
    direct: Subject

    def rows(self) -> Iterator[Row]:
        """What the way makes of it; no bound: whoever wants it wants what it does."""
        for what, (unit, measure) in _MEASURES.items():

            def measured(kind: str, measure: Callable[[Subject], float] = measure) -> float:
                return measure(self.ours if kind == "ours" else self.direct)

            yield Row(f"{self.name}: {what}", unit, measured)


@contextmanager
def proxied(kinds: tuple[Kind, ...] = KINDS) -> Iterator[list[Pair]]:
    """A server behind each kind of proxy."""
    with ExitStack() as stack:
        with server_command(*FLAGS, log=subprocess.DEVNULL) as plain:
            questions = subject_of(plain, "ours", images()).questions
        keys = Keys(Path(stack.enter_context(TemporaryDirectory())))
        cert, key = map(str, keys.server)
        secured = ("--tls-cert", cert, "--tls-key", key, "--tls-client-ca", str(keys.inside.path))
        command = stack.enter_context(server_command(*FLAGS, *secured, log=subprocess.DEVNULL))
        port = command.address.rpartition(":")[2]
        inside = _trusting(keys.inside.path)
        inside.load_cert_chain(keys.folder / "tls/servers/tls.pem")
        here = Command(command.process, f"localhost:{port}")
        direct = Subject(here, questions, Access(inside))
        pairs = []
        for kind in kinds:
            up = stack.enter_context(lone_proxy(kind, here.address, keys, tls=True))
            callers = Access(_trusting(keys.callers.path))
            proxied = Subject(Command(up.process, up.address), questions, callers)
            pairs.append(Pair(kind.name, proxied, direct))
        yield pairs


@contextmanager
def in_ray() -> Iterator[list[Pair]]:
    """A server, and a replica on the one node of a Ray cluster."""
    with (
        Network() as network,
        cluster(network, nodes=1) as ray,
        server_command(*FLAGS, log=subprocess.DEVNULL) as command,
    ):
        ray.deploy({"num_replicas": 1}, models=FLAGS[1])
        ray.settled(1)
        direct = subject_of(command, "ours", images())
        (ingress,) = ray.ingresses
        yield [Pair("ray", Subject(Command(command.process, ingress), direct.questions), direct)]


def _trusting(authority: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority))
    context.set_alpn_protocols(["h2"])
    return context


@click.command()
@click.option("--rounds", default=8, show_default=True, help="Rounds of each row.")
def main(rounds: int) -> None:
    """Measures what each way costs."""
    sandbox.enter()
    click.echo(HEADING)
    for way in (proxied, in_ray):
        with way() as pairs:
            for pair in pairs:
                for row in pair.rows():
                    click.echo(line(run(row, rounds)))


if __name__ == "__main__":
    main()
