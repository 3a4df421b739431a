"""What is promised of a proxy in front of plain servers, measured through Envoy and HAProxy alike."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import grpc

from proving import Shortfall, expect
from scale.hosts import away
from scale.loads import SteadyStream, TimedCalls, streaming, troubled
from scale.proxies import KINDS, Kind, Proxy, Servers, site

# Seconds: what the files of `deploy/` promise.  A server that is cut off is left by Envoy after two
# intervals and two timeouts of its health check, of 1 s each, or when its connection's pings are not
# answered (1 s and 3 s); by HAProxy after 3.5 s, or when what was sent is not heard of for 4 s.
_CUT_OFF_S = 4.0
# A closed port is told by the kernel, and a drain by the server.
_TOLD_S = 1.5
_STREAMS = 4


@dataclass
class Load:
    """What goes through one proxy."""

    proxy: Proxy
    streams: list[SteadyStream]
    calls: TimedCalls


@contextmanager
def loaded(proxies: list[Proxy]) -> Iterator[list[Load]]:
    """Streams and calls through each of these, while the block runs."""
    with ExitStack() as stack:
        loads = []
        for each in proxies:
            clients = [stack.enter_context(each.client()) for _ in range(_STREAMS)]
            channel = stack.enter_context(each.channel())
            calls = TimedCalls(channel)
            loads.append(Load(each, stack.enter_context(streaming(clients)), calls))
            calls.start()
            stack.callback(calls.stop)
        time.sleep(1)
        yield loads


def outages(*kinds: Kind) -> str:
    """A host cut off, a server killed, all replaced in turn: nothing lost, calls routed away."""
    events: list[tuple[str, float, float, float]] = []

    def happens(name: str, bound_s: float, seconds: float, what: Callable[[], None]) -> None:
        begun = time.monotonic()
        what()
        time.sleep(max(0.0, begun + seconds - time.monotonic()))
        events.append((name, begun, time.monotonic(), bound_s))

    with site(*kinds, flags=("--lame-duck", "2")) as (servers, proxies):
        with loaded(proxies) as loads:
            with away(servers.network.host("one")):
                happens("cut off", _CUT_OFF_S, 6.0, lambda: None)
            time.sleep(2.5)
            happens("kill -9", _TOLD_S, 2.0, lambda: servers.stop("two", signal.SIGKILL))
            servers.start("two")
            time.sleep(2.5)
            for name in ("one", "two", "three"):
                happens(f"{name} replaced", _TOLD_S, 2.5, lambda: _replaced(servers, name))
        return expect_nothing_lost(loads, events)


def _replaced(servers: Servers, name: str) -> None:
    servers.stop(name, signal.SIGTERM)
    servers.start(name)


def expect_nothing_lost(
    loads: list[Load], events: list[tuple[str, float, float, float]]
) -> str:
    told, kept = [], True
    for load in loads:
        faults = [each.fault for each in load.streams if each.fault]
        frames = sum(each.frames for each in load.streams)
        longest = max(each.longest_s for each in load.streams)
        words = [f"{frames} frames, {len(faults)} streams with one lost or doubled"]
        words[0] += f" ({faults[0]})" if faults else f", longest pause {longest:.1f} s"
        kept &= not faults
        for name, begun, end, bound_s in events:
            bad = troubled(load.calls.asked, begun - 0.1, end)
            last = max((each.begun - begun for each in bad), default=0.0)
            failed = [each.fault for each in bad if each.fault]
            slowest = max((each.seconds for each in bad), default=0.0)
            kept &= last <= bound_s
            words.append(
                f"{name}: {len(failed)} calls failed, {len(bad) - len(failed)} slow "
                f"({slowest:.1f} s), the last {last:.2f} s after (bound {bound_s:g} s)"
                + (f" {failed[0]}" if failed else "")
            )
        told.append(f"{load.proxy.kind.name}: {len(load.calls.asked)} calls; " + "; ".join(words))
    return expect(kept, "\n    ".join(told))
