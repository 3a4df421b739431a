"""What lasts behind a proxy: readers who stand still, old connections, servers that leave DNS."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import grpc

from proving import Shortfall, expect
from scale.hosts import Network
from scale.loads import TimedCalls, streaming
from scale.proxies import PREDICTED, STREAMS, Loopback, Proxy, site
from scale.proxy_kinds import ENVOY, Kind

_READERS = 64
# For one reader that stands still: its windows, both ways at both sides, what is kept for a second
# try, and what allocators hold back.
_BYTES_EACH = 768 * 1024
_AFTER_AGE_S = 5.0
# Seconds within which others are answered meanwhile.
_SLOW_S = 0.5


def slow_readers(network: Network, *kinds: Kind) -> str:
    """Streams that send without end and read nothing: bounded memory, and others do not notice."""
    with site(network, *kinds) as (_, proxies):
        return "\n    ".join(_stood_still(each) for each in proxies)


def _stood_still(up: Proxy) -> str:
    with up.channel() as others:
        alone = _slowest(others)
        before = up.resident_bytes()
        with _standing_still(up):
            time.sleep(4)  # until every window is full
            beside = _slowest(others)
            each = (up.resident_bytes() - before) / _READERS
    return expect(
        True,
        f"{up.kind.name}: {_READERS} streams that read nothing hold {each / 1024:.0f} KiB each "
        f"(bound {_BYTES_EACH // 1024}); another caller's slowest call of 100 takes "
        f"{beside * 1e3:.0f} ms beside them, {alone * 1e3:.0f} ms alone",
        bounds=each < _BYTES_EACH and beside < _SLOW_S,
    )


def _slowest(channel: grpc.Channel) -> float:
    calls = TimedCalls(channel)
    calls.start()
    time.sleep(2)
    calls.stop()
    return max(each.seconds for each in calls.asked)


@contextmanager
def _standing_still(up: Proxy) -> Iterator[None]:
    told = (up.address, str(up.keys.callers.path), str(_READERS))
    process = Loopback().start(
        sys.executable,
        "-m",
        "scale.standing_still",
        *told,
        env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert process.stdout is not None
    try:
        if not process.stdout.readline():
            raise Shortfall("the streams that are to stand still did not start")
        yield
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def left_alone(network: Network) -> str:
    """Streams outlive the age of their connection to Envoy, and their server's place in DNS."""

    def aged(text: str) -> str:
        return text.replace("max_connection_duration: 3600s", "max_connection_duration: 2s")

    with site(network, ENVOY, changed=aged) as (servers, (up,)), ExitStack() as stack:
        clients = [stack.enter_context(up.client()) for _ in range(6)]
        calls = TimedCalls(stack.enter_context(up.channel()))
        with streaming(clients) as streams:
            time.sleep(1)
            held = servers.figures()["one"][STREAMS]
            servers.publish("two", "three")
            calls.start()
            time.sleep(_AFTER_AGE_S)
            before = servers.figures()["one"]
            time.sleep(1)
            after = servers.figures()["one"]
            calls.stop()
        faults = [each.fault for each in streams if each.fault]
        faults += [each.fault for each in calls.asked if each.fault]
        opened = sum(
            value
            for each in servers.figures().values()
            for key, value in each.items()
            if key.startswith("digitserve_calls_total") and "StreamPredict" in key
        )
    late = after[PREDICTED] - before[PREDICTED]
    return expect(
        not faults and after[STREAMS] == held > 0 and opened == len(streams),
        f"{len(streams)} streams, {_AFTER_AGE_S + 1:.0f} s after one of 3 servers left DNS, "
        f"connections 2 s old at most: {opened:.0f} calls made of them, {after[STREAMS]:.0f} still"
        f" at the server that left, which got {late:.0f} new calls; {len(faults)} faults"
        + (f": {faults[0]}" if faults else ""),
        bounds=not late,
    )
