"""What a call and a frame cost through Ray, beside the bare server on the same host."""

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from proving import Shortfall
from scale.hosts import Host

_PORT = 50051
_ROUNDS = 3
_BENCH = (sys.executable, "-c", "from digitserve.client.cli import main; main()", "bench")


def cost(host: Host, ingress: str, bundle: str) -> str:
    """Asks both in turn, by `digitserve bench`, from the caller's host."""
    with _bare(host, bundle) as bare:
        calls, frames = [], []
        for _ in range(_ROUNDS):
            calls.append([_bench(each)["latency_ms"]["p50"] for each in (ingress, bare)])
            frames.append(
                [_bench(each, "--stream")["images_per_second"] for each in (ingress, bare)]
            )
    through, alone = map(statistics.median, zip(*calls, strict=True))
    fast, faster = map(statistics.median, zip(*frames, strict=True))
    return (
        f"a call {through:.2f} ms beside {alone:.2f} ms, {through / alone:.1f} times as long; one "
        f"stream {fast:,.0f} frames/s beside {faster:,.0f}, {fast / faster:.2f} of them"
    )


@contextmanager
def _bare(host: Host, bundle: str) -> Iterator[str]:
    address = f"{host.address}:{_PORT}"
    told = ("--address", address, "--plain-text", "--models", bundle)
    server = host.start(sys.executable, "-m", "digitserve.server", *told, log=subprocess.DEVNULL)
    try:
        assert server.stdout is not None
        if not server.stdout.readline().startswith("serving on"):
            raise Shortfall("the bare server did not start")
        yield address
    finally:
        server.kill()
        server.wait()


def _bench(address: str, *kind: str) -> dict[str, Any]:
    short = ("--seconds", "0.7", "--warm-up", "0.3", "--json", "-", "--address", address)
    done = subprocess.run([*_BENCH, *short, *kind], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Shortfall(f"digitserve bench: {done.stderr[-500:]}")
    told: dict[str, Any] = json.loads(done.stdout)
    if told["calls"]["failed"]:
        raise Shortfall(f"{told['calls']['failed']} calls failed")
    return told
