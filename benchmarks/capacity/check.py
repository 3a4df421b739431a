"""The model held against what can be measured here: loads that it was not fitted to.

Processor time is compared, since it is what the model is of; a share of a core is that by the
second.  What is foretold is foretold of the instants at which messages really went.  How long
answers take is told beside it: there the sender, which has only the other core, and whatever else
the machine does, have their part.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.capacity import sender
from benchmarks.capacity.costs import Costs
from benchmarks.capacity.kept import Measured
from benchmarks.capacity.mixes import VERSIONS
from benchmarks.capacity.plan import Load, service
from benchmarks.capacity.queue import Served, Spread, simulate
from benchmarks.capacity.sender import Floats, Numbers
from benchmarks.capacity.worker import Server, server, starved_seconds, yardstick


@dataclass(frozen=True, slots=True)
class Try:
    """A load that one machine takes.

    Attributes:
        load: of one kind.
        connections: over which it comes.
        workers: that take it.
    """

    load: Load
    connections: int
    workers: int = 1

    @property
    def name(self) -> str:
        """In a few words."""
        load, of = self.load, f"version {self.load.version}, {self.workers} worker"
        what = (
            f"{load.streams} cameras, {load.fps:g}/s" if load.streams else f"{load.calls:g} calls/s"
        )
        return f"{what}, {self.connections} connections, {of}{'s' * (self.workers > 1)}"


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of it, foretold and measured.

    Attributes:
        name: of the load.
        mood: what the yardstick cost, in parts of what it did when the costs were measured; what is
            foretold is by it.
        foretold_s: processor time.
        measured_s: the same.
        starved_s: that others had the processor while the server could have had it.
        seconds: that it took, by the clock.
        foretold_p99_s: from when a message went to its answer.
        measured_p99_s: the same, by the sender's clock.
        late_p99_s: how late the sender was.
    """

    name: str
    mood: float
    foretold_s: float
    measured_s: float
    starved_s: float
    seconds: float
    foretold_p99_s: float
    measured_p99_s: float
    late_p99_s: float

    @property
    def error(self) -> float:
        """By how much of the measured it was foretold too dear."""
        return self.foretold_s / self.measured_s - 1

    def told(self) -> str:
        """A line."""
        shares = [each / self.seconds for each in (self.foretold_s, self.measured_s)]
        ms = [
            f"{each * 1e3:9.2f}"
            for each in (self.foretold_p99_s, self.measured_p99_s, self.late_p99_s)
        ]
        cores = " ".join(f"{each:8.2f}" for each in shares)
        machine = f"{self.mood:6.2f} {self.starved_s / self.seconds:8.0%}"
        return f"{self.name:58} {cores} {self.error:+6.0%} {' '.join(ms)} {machine}"


HEADING = (
    f"{'':58} {'cores: foretold':>12} {'was':>2} {'error':>6}"
    f" {'p99 ms: f.':>9} {'was':>8} {'late':>9} {'mood':>6} {'starved':>8}"
)


def tries(version: int, *, short: bool = False) -> list[Try]:
    """What is tried of a version."""
    part = 0.4 if version == 3 else 1.0

    def cameras(count: float, connections: float = 0, workers: int = 1) -> Try:
        load = Load(streams=round(count * part), fps=30, version=version)
        return Try(load, round(connections) or load.streams, workers)

    def calls(rate: float, workers: int = 1) -> Try:
        return Try(Load(calls=rate * part, version=version), 100, workers)

    if short:
        return [cameras(150), calls(4000)]
    return [
        *(cameras(each) for each in (75, 150, 250)),
        cameras(250, 8),
        cameras(250, workers=2),
        *(calls(each) for each in (2000, 4000, 8000)),
        calls(20_000),
        calls(6000, workers=2),
    ]


def checked(
    what: Measured, some: Sequence[Try], seconds: float, rounds: int = 3
) -> Iterator[Checked]:
    """Tries each on a server that has just begun; of so many rounds gives the least starved."""
    with server(VERSIONS[0]) as beside:
        for each in some:
            flags = ("--workers", str(each.workers)) if each.workers > 1 else ()
            with server(each.load.version, *flags) as up:
                tried = [_try((up, beside), what, each, seconds, seed) for seed in range(rounds)]
            yield min(tried, key=lambda one: one.starved_s)


def foretold(costs: Costs, each: Try, times: Floats, who: Numbers, seed: int = 0) -> Served:
    """Messages that went at these instants, each by its connection or camera, simulated."""
    takes = service(costs, each.load, frames=bool(each.load.streams))
    return simulate((times, who % each.connections), takes, each.workers, Spread.PINNED, seed)


def _try(
    servers: tuple[Server, Server], what: Measured, each: Try, seconds: float, seed: int
) -> Checked:
    up, beside = servers
    load, command = each.load, up.command
    before_us, starved_s = yardstick(beside), starved_seconds(command)
    with sender.lines(
        command.address, up.frame if load.streams else up.call, each.connections
    ) as lines:
        if load.streams:
            cameras = sender.Cameras(lines, load.streams)
            before = command.cpu_seconds()
            paced = cameras.send(load.fps, seconds, seed)
        else:
            sender.send_calls(lines, load.calls, seconds / 10, seed)
            before = command.cpu_seconds()
            paced = sender.send_calls(lines, load.calls, seconds, seed)
        measured_s = command.cpu_seconds() - before
        starved_s = starved_seconds(command) - starved_s
    mood = (before_us + yardstick(beside)) / 2 / what.yardstick_us
    costs = what.costs.dearer(mood)
    served = foretold(costs, each, np.array(paced.sent), paced.who, seed)
    return Checked(
        each.name,
        mood,
        float(served.busy_s.sum()),
        measured_s,
        starved_s,
        paced.seconds,
        served.quantile(0.99),
        float(np.quantile(paced.latencies, 0.99)),
        float(np.quantile(paced.late, 0.99)),
    )
