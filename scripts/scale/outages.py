"""What happens to servers, and what callers see of it by each way: outages, upgrades, shares."""

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from proving import OutOfBounds, expect
from scale.hosts import Network, away
from scale.loads import SteadyStream, TimedCalls, ask_many, streaming, troubled
from scale.proxies import PREDICTED, STREAMS, Servers, site
from scale.proxy_kinds import Kind
from scale.ways import RoundRobin, Way

# Seconds: a closed port is told by the kernel, and a drain by the server.
_TOLD_S = 1.5
_STREAMS = 4
# Of its share, and the seconds after which that holds again.
_MOST_SHARE, _REBALANCED_S = 1.3, 30.0
# Of 60 streams those that are open at any time: the others are on their way.
_MOST_OPEN = 50
# Seconds that a call may be under way when something happens.
_CALL_MOST_S = 0.1


@dataclass(frozen=True)
class Event:
    """Something that happened to the servers.

    Attributes:
        name: what.
        begun: when.
        told: whether somebody tells: the kernel of a closed port, the server of its drain.
    """

    name: str
    begun: float
    told: bool = True


@dataclass
class Load:
    """What goes by one way."""

    way: Way
    streams: list[SteadyStream]
    calls: TimedCalls


@contextmanager
def loaded(ways: Sequence[Way]) -> Iterator[list[Load]]:
    """Streams and calls by each of these, while the block runs."""
    with ExitStack() as stack:
        loads = []
        for each in ways:
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
    events: list[Event] = []

    def begins(name: str, *, told: bool = True) -> None:
        events.append(Event(name, time.monotonic(), told))

    with site(network, *kinds, flags=("--lame-duck", "2")) as (servers, proxies):
        ways: list[Way] = [*proxies, RoundRobin(servers.keys)]
        with loaded(ways) as loads:
            begins("cut off", told=False)
            with away(network.host("one")):
                time.sleep(max(each.cut_off_s for each in ways) + 2)
            time.sleep(2.5)
            begins("kill -9")
            servers.stop("two", signal.SIGKILL)
            time.sleep(2)
            servers.start("two")
            time.sleep(2.5)
            for name in ("one", "two", "three"):
                begins(f"{name} replaced")
                servers.stop(name, signal.SIGTERM)
                servers.start(name)
                time.sleep(2)  # for all to find it well, as a rolling upgrade does
        return "\n    ".join(_seen(each, events) for each in loads)


def _seen(load: Load, events: list[Event]) -> str:
    """What the callers saw who came by one way."""
    faults = [each.fault for each in load.streams if each.fault]
    frames = sum(each.frames for each in load.streams)
    longest = max(each.longest_s for each in load.streams)
    asked = load.calls.asked
    words = [
        f"{load.way.name}: {frames} frames, {len(faults)} of {len(load.streams)} streams "
        f"with one lost or doubled ({faults[0] if faults else f'longest pause {longest:.1f} s'})"
    ]
    expected = slow = 0
    for event in events:
        bound_s = _TOLD_S if event.told else load.way.cut_off_s
        bad = troubled(asked, event.begun - _CALL_MOST_S, event.begun + bound_s)
        failed = sum(bool(each.fault) for each in bad)
        expected += failed
        slow += len(bad) - failed
        last = max((each.begun - event.begun for each in bad), default=0.0)
        words.append(
            f"{event.name}: {failed} calls failed, {len(bad) - failed} slow, the last "
            f"{max(last, 0.0):.1f} s after (bound {bound_s:g} s)"
        )
    others = [each.fault for each in asked if each.fault]
    slow = len(troubled(asked, 0.0, float("inf"))) - len(others) - slow
    words.append(
        f"{len(others) - expected} of {len(asked)} calls failed, {slow} were slow at other times"
    )
    if faults or len(others) > expected:
        words += others[:1]
    return expect(
        not faults,
        "; ".join(words),
        bounds=len(others) == expected and slow <= len(asked) / 100,
    )


# --- balance -------------------------------------------------------------------------------------


def balanced(network: Network, *kinds: Kind, short: bool) -> str:
    """60 long streams and 10,000 calls over three servers, and again when a fourth was added.

    That is 30 s after it; the short form looks as soon as the shares are even.
    """
    return "\n    ".join(_balanced(network, kind, short=short) for kind in (*kinds, None))


def _balanced(network: Network, kind: Kind | None, *, short: bool) -> str:
    """By a kind of proxy; None: by none."""
    # Streams and connections live for six seconds, so that all of them have moved within the 30.
    ages = {f"DIGITSERVE_SERVER_{each}_MAX_AGE_S": "6" for each in ("STREAM", "CONNECTION")}
    with (
        site(network, *([kind] if kind else []), variables=ages) as (servers, proxies),
        ExitStack() as stack,
    ):
        up: Way = proxies[0] if proxies else RoundRobin(servers.keys)
        clients = [stack.enter_context(up.client()) for _ in range(10)]
        for each in clients:
            each.health()
        time.sleep(0.5)  # a stream at once would be at whichever server was reached first
        with streaming(clients * 6, pace_s=0.5) as streams:
            time.sleep(1.5)
            three = _shares(servers, up, 10_000)
            servers.start("four")
            servers.publish("one", "two", "three", "four")
            begun = time.monotonic()
            four = _shares_later(servers, up, begun + _REBALANCED_S, short=short)
            taken = time.monotonic() - begun
        faults = [each.fault for each in streams if each.fault]
    most = max(three + four)
    return expect(
        not faults,
        f"{up.name}: of 60 streams and 10,000 calls the fullest of 3 servers has "
        f"{three[0]:.2f} and {three[1]:.2f} of its share; {taken:.0f} s after a fourth was in DNS "
        f"{four[0]:.2f} and {four[1]:.2f} (streams live for 6 s); {len(faults)} streams with a "
        f"frame lost or doubled" + (f": {faults[0]}" if faults else ""),
        bounds=most <= _MOST_SHARE,
    )


def _shares(servers: Servers, up: Way, calls: int) -> tuple[float, float]:
    """What the fullest server has of the open streams, and of these calls, to its share."""
    before = servers.figures()
    with up.channel() as channel:
        ask_many(channel, calls)
    after = servers.figures()
    held = [after[name][STREAMS] for name in after]
    if sum(held) < _MOST_OPEN:
        raise OutOfBounds(f"{sum(held):.0f} of 60 streams are open")
    return _fullest(held), _fullest(
        [after[name][PREDICTED] - before[name][PREDICTED] for name in after]
    )


def _fullest(counts: list[float]) -> float:
    return max(counts) * len(counts) / sum(counts)


def _shares_later(servers: Servers, up: Way, until: float, *, short: bool) -> tuple[float, float]:
    while True:
        time.sleep(1)
        found = _shares(servers, up, 1_000)
        if (short and max(found) <= _MOST_SHARE) or time.monotonic() > until:
            return found
