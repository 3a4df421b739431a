"""`python -m benchmarks.proxies`: what Envoy and HAProxy in front of a server cost, as ratios.

One server with TLS.  The reference (and `again`) asks it directly, `ours` through the proxy's
committed file: TLS to the proxy, TLS with certificates on both sides behind it.  Proxy, server and
load share the machine's cores, as they do not where a proxy has a host of its own: the calls a
second are the worst case.
"""

import os
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "scripts")]
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import click  # noqa: E402

from benchmarks.http2 import Access  # noqa: E402
from benchmarks.rows import HEADING, Row, line, run  # noqa: E402
from benchmarks.subjects import FLAGS, Subject, images, median_us, subject_of  # noqa: E402
from scale.proxies import lone_proxy  # noqa: E402
from scale.proxy_kinds import KINDS, Keys, Kind  # noqa: E402
from support.command import Command, server_command  # noqa: E402

_SLICE_S = 0.4
_MEASURES: dict[str, tuple[str, Callable[[Subject], float]]] = {
    "unary calls, 1 caller": ("calls/s", lambda up: up.unary(1, _SLICE_S).rate),
    "unary calls, 32 callers": ("calls/s", lambda up: up.unary(32, _SLICE_S).rate),
    "p50 of one caller": ("µs", lambda up: median_us(up.unary(1, _SLICE_S))),
    "frames of one stream": ("frames/s", lambda up: up.frames(1, _SLICE_S).rate),
    "frames of 16 streams": ("frames/s", lambda up: up.frames(16, _SLICE_S).rate),
}


@contextmanager
def direct_and_proxied(kinds: tuple[Kind, ...] = KINDS) -> Iterator[dict[str, Subject]]:
    """A server by itself, as `direct`, and behind each proxy, by its name."""
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
        subjects = {"direct": Subject(here, questions, Access(inside))}
        for kind in kinds:
            up = stack.enter_context(lone_proxy(kind, here.address, keys, tls=True))
            callers = Access(_trusting(keys.callers.path))
            subjects[kind.name] = Subject(Command(up.process, up.address), questions, callers)
        yield subjects


def proxy_rows(subjects: dict[str, Subject]) -> Iterator[Row]:
    """What each proxy makes of it; no bound: whoever puts one in front wants what it does."""
    for name in sorted(subjects.keys() - {"direct"}):
        for what, (unit, measure) in _MEASURES.items():

            def measured(
                kind: str, name: str = name, measure: Callable[[Subject], float] = measure
            ) -> float:
                return measure(subjects[name if kind == "ours" else "direct"])

            yield Row(f"{name}: {what}", unit, measured)


def _trusting(authority: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority))
    context.set_alpn_protocols(["h2"])
    return context


@click.command()
@click.option("--rounds", default=8, show_default=True, help="Rounds of each row.")
def main(rounds: int) -> None:
    """Measures what a proxy costs."""
    click.echo(HEADING)
    with direct_and_proxied() as subjects:
        for row in proxy_rows(subjects):
            click.echo(line(run(row, rounds)))


if __name__ == "__main__":
    main()
