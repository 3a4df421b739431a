"""The queue before a worker, event by event: how long a message takes there, at which load.

    arrivals ──▶ [ connections with something to read, first come, first served ] ──▶ worker

A worker that has nothing to do sleeps, and takes a while to wake.  It reads a connection with all
that has come there by then, and answers that before it reads the next.  Time is counted, not waited
for: a second of thirty thousand messages takes a tenth of one.
"""

from dataclasses import dataclass
from enum import Enum

import numpy as np

from benchmarks.capacity.sender import Floats, Numbers

# A worker above that is too busy: its waits grow several times as fast as its load.
TOO_BUSY = 0.85


@dataclass(frozen=True, slots=True)
class Service:
    """Seconds that a worker takes: to be woken, for a read, and for each message in it."""

    sleep: float
    read: float
    message: float


@dataclass(frozen=True, slots=True)
class Served:
    """What came of arrivals at one worker or more.

    Attributes:
        waits: of each message, from its arrival to its answer, in seconds.
        busy_s: seconds that each worker worked.
        span_s: from the first arrival to the last answer of any of them.
        sleeps: of all of them.
        reads: of all of them.
    """

    waits: Floats
    busy_s: Floats
    span_s: float
    sleeps: int
    reads: int

    def quantile(self, share: float) -> float:
        """Of the waits, in seconds."""
        return float(np.quantile(self.waits, share))

    @property
    def busy(self) -> Floats:
        """The share of the time that each worker worked."""
        return self.busy_s / self.span_s

    @property
    def too_busy(self) -> float:
        """The share of the workers that are."""
        return float((self.busy > TOO_BUSY).mean())


class Spread(Enum):
    """How connections, or what they carry, come to workers."""

    # In turn: by a proxy, or by clients that know all addresses.
    EVEN = "even"
    # Each connection to one at random, for as long as it lasts: by the kernel (SO_REUSEPORT).
    PINNED = "pinned"


def serve(arrivals: Floats, connections: Numbers, service: Service) -> Served:
    """One worker, and messages in the order in which they come."""
    times, whose = arrivals.tolist(), connections.tolist()
    done = [0.0] * len(times)
    unread: dict[int, list[int]] = {}  # in the order of their first message
    now = busy = 0.0
    at = sleeps = reads = 0
    while at < len(times) or unread:
        if not unread and times[at] > now:
            now = times[at] + service.sleep
            busy += service.sleep
            sleeps += 1
        while at < len(times) and times[at] <= now:
            unread.setdefault(whose[at], []).append(at)
            at += 1
        messages = unread.pop(next(iter(unread)))
        took = service.read + len(messages) * service.message
        now += took
        busy += took
        reads += 1
        for message in messages:
            done[message] = now
    span_s = now - times[0] if times else 0.0
    return Served(np.array(done) - arrivals, np.array([busy]), span_s, sleeps, reads)


def simulate(
    messages: tuple[Floats, Numbers],
    service: Service,
    workers: int,
    spread: Spread = Spread.EVEN,
    seed: int = 0,
) -> Served:
    """Several workers, and messages with the connection on which each comes."""
    times, whose = messages
    places = int(whose.max(initial=0)) + 1
    if spread is Spread.PINNED:
        worker = np.random.default_rng(seed).integers(0, workers, places)
    else:
        worker = np.arange(places) % workers
    at = worker[whose]
    parts = [serve(times[at == each], whose[at == each], service) for each in range(workers)]
    return Served(
        np.concatenate([part.waits for part in parts]),
        np.concatenate([part.busy_s for part in parts]),
        max(part.span_s for part in parts),
        sum(part.sleeps for part in parts),
        sum(part.reads for part in parts),
    )
