"""What is promised of a proxy in front of plain servers, measured through Envoy and HAProxy alike."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import grpc

from proving import Shortfall, expect
from scale.hosts import Network, away
from scale.loads import SteadyStream, TimedCalls, ask_many, streaming, troubled
from scale.proxies import PREDICTED, STREAMS, Kind, Proxy, Servers, site

# Seconds: what the files of `deploy/` promise.  A server that is cut off is left by Envoy after two
# intervals and two timeouts of its health check, of 1 s each, or when its connection's pings are not
# answered (1 s and 3 s); by HAProxy after 3.5 s, or when what was sent is not heard of for 4 s.
_CUT_OFF_S = 4.0
# A closed port is told by the kernel, and a drain by the server.
_TOLD_S = 1.5
_STREAMS = 4
# Of its share, and the seconds after which that holds again.
_MOST_SHARE, _REBALANCED_S = 1.3, 30.0


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


def outages(network: Network, *kinds: Kind) -> str:
    """A host cut off, a server killed, all replaced in turn: nothing lost, calls routed away."""
    events: list[tuple[str, float, float, float]] = []

    def happens(name: str, bound_s: float, seconds: float, what: Callable[[], None]) -> None:
        begun = time.monotonic()
        what()
        time.sleep(max(0.0, begun + seconds - time.monotonic()))
        events.append((name, begun, time.monotonic(), bound_s))

    with site(network, *kinds, flags=("--lame-duck", "2")) as (servers, proxies):
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


def expect_nothing_lost(loads: list[Load], events: list[tuple[str, float, float, float]]) -> str:
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


# --- balance -------------------------------------------------------------------------------------


def balanced(network: Network, *kinds: Kind) -> str:
    """60 long streams and 10,000 calls over three servers, and again when a fourth was added."""
    return "\n    ".join(_balanced(network, each) for each in kinds)


def _balanced(network: Network, kind: Kind) -> str:
    # Seconds for which a stream lives: short, so that all of them have moved within the 30 s.
    age = {"DIGITSERVE_SERVER_STREAM_MAX_AGE_S": "6"}
    with site(network, kind, **age) as (servers, (up,)), ExitStack() as stack:
        clients = [stack.enter_context(up.client()) for _ in range(10)]
        with streaming(clients * 6, pace_s=0.5) as streams:
            time.sleep(1.5)
            three = _shares(servers, up, 10_000)
            servers.start("four")
            servers.publish("one", "two", "three", "four")
            begun = time.monotonic()
            four = _shares_soon(servers, up, begun + _REBALANCED_S)
            taken = time.monotonic() - begun
        faults = [each.fault for each in streams if each.fault]
    most = max(three + four)
    return expect(
        most <= _MOST_SHARE and not faults,
        f"{kind.name}: of 60 streams and 10,000 calls the fullest of 3 servers has "
        f"{three[0]:.2f} and {three[1]:.2f} of its share; {taken:.0f} s after a fourth was in DNS "
        f"{four[0]:.2f} and {four[1]:.2f} (streams live for 6 s); {len(faults)} streams with a frame "
        f"lost or doubled" + (f": {faults[0]}" if faults else ""),
    )


def _shares(servers: Servers, up: Proxy, calls: int) -> tuple[float, float]:
    """What the fullest server has of the streams that are open, and of these calls, to its share."""
    before = servers.figures()
    with up.channel() as channel:
        ask_many(channel, calls)
    after = servers.figures()
    asked = [after[name][PREDICTED] - before[name][PREDICTED] for name in after]
    held = [after[name][STREAMS] for name in after]
    return tuple(max(each) * len(each) / max(1.0, sum(each)) for each in (held, asked))


def _shares_soon(servers: Servers, up: Proxy, until: float) -> tuple[float, float]:
    while True:
        time.sleep(1)
        found = _shares(servers, up, 1_000)
        if max(found) <= _MOST_SHARE or time.monotonic() > until:
            return found
