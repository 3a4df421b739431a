"""What a load needs: workers, machines, megabits, memory; and how long its messages then wait."""

import math
from dataclasses import dataclass

import numpy as np

from benchmarks.capacity import wire
from benchmarks.capacity.costs import Costs
from benchmarks.capacity.holding import Holding
from benchmarks.capacity.queue import Served, Service, Spread, simulate
from benchmarks.capacity.sender import cameras, poisson

# Connections of callers whose number nobody said, and seconds that are simulated.
_CALLERS, _SECONDS = 1000, 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is asked, by callers that each have a connection.

    Attributes:
        calls: a second.
        streams: open at once.
        fps: frames a second of each.
        images: in each message.
        version: the network.
    """

    calls: float = 0.0
    streams: int = 0
    fps: float = 0.0
    images: int = 1
    version: int = 3

    @property
    def frames(self) -> float:
        """A second."""
        return self.streams * self.fps


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a machine is taken to be.

    Attributes:
        cores: such as those that the costs were measured on.
        spare: of them, left to the kernel, the network card and what else runs there.
        link_mbit: each way.
        utilization: of a worker, and of a link, on average.
    """

    cores: int = 8
    spare: int = 1
    link_mbit: float = 10_000.0
    utilization: float = 0.6


@dataclass(frozen=True, slots=True)
class Need:
    """What it takes.

    Attributes:
        message_us: of a core, for each message at that utilization, the mean.
        workers: processes with a core each.
        machines: of the kind that was named.
        busy: how busy a worker is then, on average.
        up_mbit: to all servers together.
        down_mbit: from them.
        memory_mb: of all workers.
    """

    message_us: float
    workers: int
    machines: int
    busy: float
    up_mbit: float
    down_mbit: float
    memory_mb: float


def service(costs: Costs, load: Load, *, frames: bool) -> Service:
    """What a message of a load takes, in seconds."""
    turns = math.ceil(load.images / costs.turn_images[load.version])
    own = costs.frame if frames else costs.call
    message = own + turns * costs.turn + load.images * costs.image[load.version]
    return Service(costs.sleep[load.version] / 1e6, costs.read / 1e6, message / 1e6)


def cores(costs: Costs, load: Load, utilization: float) -> float:
    """Cores that are busy with a load, where workers are busy for that part of their time.

    A message that comes to a worker at rest wakes it, and that is one in (1 - utilization).
    """
    kinds = ((load.calls, False), (load.frames, True))
    busy = 0.0
    for rate, frames in kinds:
        each = service(costs, load, frames=frames)
        busy += rate * (each.read + each.message + (1 - utilization) * each.sleep)
    return busy


def share(costs: Costs, load: Load, workers: int = 1) -> float:
    """How busy each of so many workers is; above 1: it is too much for them."""
    woken = (load.calls + load.frames) * costs.sleep[load.version] / 1e6
    # busy = work + (1 - busy)·woken, in cores of all workers
    return (cores(costs, load, 1.0) + woken) / (workers + woken)


def needed(costs: Costs, holding: Holding, load: Load, machine: Machine) -> Need:
    """How much of everything."""
    busy = cores(costs, load, machine.utilization)
    workers = max(1, math.ceil(busy / machine.utilization))
    up, down = megabits(load)
    usable = machine.link_mbit * machine.utilization
    by_cores = math.ceil(workers / (machine.cores - machine.spare))
    machines = max(by_cores, math.ceil(max(up, down) / usable))
    messages = load.calls + load.frames
    camera_mb = (holding.connection_kb + holding.stream_kb) / 1000
    memory = workers * holding.worker_mb + load.streams * camera_mb
    return Need(
        busy / messages * 1e6 if messages else 0.0,
        workers,
        machines,
        share(costs, load, workers),
        up,
        down,
        memory,
    )


def megabits(load: Load) -> tuple[float, float]:
    """A second, up and down, each message in packets of its own."""
    of_calls = wire.on_the_wire(wire.call_payload(load.images)).times(load.calls)
    of_frames = wire.on_the_wire(wire.frame_payload(load.images)).times(load.frames)
    both = of_calls.plus(of_frames)
    return both.up * 8 / 1e6, both.down * 8 / 1e6


def waiting(
    costs: Costs, load: Load, workers: int, spread: Spread, *, connections: int = 0, seed: int = 0
) -> Served:
    """A second of a load before so many workers.

    Without `connections` each camera has one, and calls come over a thousand.
    """
    shared = connections or max(load.streams, _CALLERS)
    times, who = poisson(load.calls, _SECONDS, shared, seed)
    frame_times, camera = cameras(load.streams, load.fps, _SECONDS, seed)
    order = np.argsort(both := np.concatenate([times, frame_times]), kind="stable")
    whose = np.concatenate([who, camera % shared])[order]
    call, frame = (service(costs, load, frames=each) for each in (False, True))
    part = load.frames / (load.calls + load.frames)
    message = (1 - part) * call.message + part * frame.message  # of both kinds the mean
    takes = Service(call.sleep, call.read, message)
    return simulate((both[order], whose), takes, workers, spread, seed)
