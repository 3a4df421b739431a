"""The model of `python -m benchmarks.capacity`: its arithmetic, its bytes, its queue's laws."""

import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.capacity import wire
from benchmarks.capacity.costs import Costs, errors, fitted
from benchmarks.capacity.holding import Holding
from benchmarks.capacity.mixes import Observation
from benchmarks.capacity.plan import Load, Machine, megabits, needed, service, share, waiting
from benchmarks.capacity.queue import Service, Spread, serve, simulate
from benchmarks.capacity.relay import python_calls
from benchmarks.capacity.sender import Cameras, Paced, cameras, lines, poisson, send_calls
from benchmarks.capacity.told import marked
from benchmarks.http2 import Exchange
from digitserve.v1 import digits_pb2
from support.engines import InkEngine, image_of
from support.serving import Serving, serving, versions_of

COSTS = Costs(
    read=30.0,
    call=15.0,
    frame=20.0,
    turn=10.0,
    image={1: 3.0, 3: 110.0},
    sleep={1: 60.0, 3: 150.0},
    turn_images={1: 32, 3: 8},
)
HOLDING = Holding(
    worker_mb=70.0,
    connection_kb=4.0,
    stream_kb=16.0,
    connection_us=160.0,
    stream_us=120.0,
    idle_us=0.0,
)
LOADS = st.builds(
    Load,
    calls=st.floats(1, 1e6),
    streams=st.integers(0, 10_000),
    fps=st.floats(0, 60),
    version=st.sampled_from([1, 3]),
)
CALL = [
    Exchange(
        digits_pb2.PredictRequest(pixels=image_of(at)).SerializeToString(), bytes([0x08, at, 0x15])
    )
    for at in range(10)
]
FRAME = [
    Exchange(
        digits_pb2.StreamPredictRequest(
            frame=digits_pb2.Frame(pixels=image_of(at))
        ).SerializeToString(),
        bytes([0x08, at, 0x15]),
    )
    for at in range(10)
]


@pytest.fixture(name="up", scope="module")
def _up() -> Iterator[Serving]:
    with serving(versions=versions_of(InkEngine())) as up:
        yield up


# --- costs -------------------------------------------------------------------------------------


def test_costs_are_found_again_in_what_they_explain() -> None:
    """Mixes that differ enough give back the costs that made them."""
    chance = np.random.default_rng(0)
    seen = []
    for version in (1, 3):
        for at in range(12):
            images = 16 if at == 0 else int(chance.integers(1, 16))
            turns = float(-(-images // COSTS.turn_images[version]))
            reads, sleeps = chance.uniform(0, 1, 2).tolist()
            one = Observation("", version, at % 2, images, turns, reads, sleeps, 0.0)
            made = Observation("", version, at % 2, images, turns, reads, sleeps, COSTS.of(one))
            seen.append(made)
    found = fitted(seen)
    assert found.read == pytest.approx(COSTS.read)
    assert found.image == pytest.approx(COSTS.image)
    assert found.sleep == pytest.approx(COSTS.sleep)
    assert max(map(abs, errors(found, seen))) < 1e-9


def test_no_cost_is_below_nothing() -> None:
    """What noise would make negative is nothing."""
    seen = [
        Observation("", 1, 0, 1, 1.0, reads, 1 - reads, cpu_us)
        for reads, cpu_us in ((0.1, 100.0), (0.5, 80.0), (0.9, 50.0))
    ]
    found = fitted(seen)
    assert min(found.read, found.call, found.turn, found.image[1], found.sleep[1]) >= 0


# --- what a load needs -------------------------------------------------------------------------


def test_an_example_by_hand() -> None:
    """1,000 calls/s at half load: 30 + 15 + 10 + 3 µs each, and half of them wake the worker."""
    load, machine = Load(calls=10_000, version=1), Machine(utilization=0.5, cores=2)
    need = needed(COSTS, HOLDING, load, machine)
    assert need.message_us == pytest.approx(88)
    assert (need.workers, need.machines) == (2, 2)  # 0.88 cores at 0.5 each, one a machine
    assert need.memory_mb == 140


def test_a_machine_is_limited_by_its_link_as_well() -> None:
    """Ten times the link that the load needs at that utilization is one machine, a tenth is ten."""
    load = Load(calls=10_000, version=1)
    up, _ = megabits(load)
    wide, narrow = (Machine(link_mbit=up / 0.6 * each, cores=64) for each in (1.01, 0.1001))
    assert needed(COSTS, HOLDING, load, wide).machines == 1
    assert needed(COSTS, HOLDING, load, narrow).machines == 10


@given(load=LOADS, utilization=st.floats(0.1, 0.95))
def test_workers_are_no_busier_than_they_are_meant_to_be(load: Load, utilization: float) -> None:
    """And one fewer would be, or there is but one."""
    need = needed(COSTS, HOLDING, load, Machine(utilization=utilization))
    assert need.busy <= utilization * 1.0001
    assert need.workers == 1 or share(COSTS, load, need.workers - 1) >= utilization * 0.9999


def test_the_share_that_is_foretold_is_the_one_that_is_simulated() -> None:
    """For calls by a Poisson schedule, each on a connection of its own."""
    for version, rate in ((1, 4000.0), (1, 9000.0), (3, 2500.0)):
        load = Load(calls=rate, version=version)
        times, _ = poisson(rate, 4.0, 1, 0)
        takes = service(COSTS, load, frames=False)
        served = serve(times, np.arange(len(times)), takes)
        assert served.busy[0] == pytest.approx(share(COSTS, load), rel=0.05)


# --- the queue ---------------------------------------------------------------------------------


@pytest.mark.parametrize("busy", [0.3, 0.6, 0.8])
def test_the_mean_wait_is_that_of_theory(busy: float) -> None:
    """M/D/1: service and, before it, busy / (2 (1 - busy)) of it (Pollaczek and Khinchine)."""
    service_s = 100e-6
    times, _ = poisson(busy / service_s, 60.0, 1, 1)
    served = serve(times, np.arange(len(times)), Service(0.0, 0.0, service_s))
    theory = service_s * (1 + busy / (2 * (1 - busy)))
    assert served.waits.mean() == pytest.approx(theory, rel=0.06)
    assert served.busy[0] == pytest.approx(busy, rel=0.02)


@settings(max_examples=40)
@given(
    gaps=st.lists(st.floats(0, 300e-6), min_size=1, max_size=200),
    workers=st.integers(1, 5),
    read=st.floats(0, 1e-4),
    message=st.floats(1e-6, 2e-4),
    sleep=st.floats(0, 1e-4),
)
def test_more_workers_never_make_anybody_wait_longer(
    gaps: list[float], workers: int, read: float, message: float, sleep: float
) -> None:
    """Twice as many, each with half of the connections: no message, but for one more wake-up."""
    times, whose = np.cumsum(gaps), np.arange(len(gaps))
    takes = Service(sleep, read, message)
    few, many = (simulate((times, whose), takes, each) for each in (workers, 2 * workers))
    by_worker = [np.argsort(whose % each, kind="stable") for each in (workers, 2 * workers)]
    few_waits, many_waits = np.empty(len(gaps)), np.empty(len(gaps))
    few_waits[by_worker[0]], many_waits[by_worker[1]] = few.waits, many.waits
    assert (many_waits <= few_waits + sleep + 1e-12).all()


@given(gaps=st.lists(st.floats(0, 100e-6), min_size=1, max_size=100), connections=st.integers(1, 8))
def test_what_comes_on_one_connection_is_read_together(gaps: list[float], connections: int) -> None:
    """So fewer connections never cost more reads, and every message is answered after it came."""
    times = np.cumsum(gaps)
    takes = Service(0.0, 50e-6, 10e-6)
    own = serve(times, np.arange(len(times)), takes)
    shared = serve(times, np.arange(len(times)) % connections, takes)
    assert shared.reads <= own.reads == len(times)
    assert shared.waits.min() >= 60e-6 * 0.999
    assert shared.busy_s[0] <= own.busy_s[0] + 1e-12


def test_connections_that_stay_where_they_fell_load_workers_unevenly() -> None:
    """The kernel's choice leaves some worker busier than an even spread does."""
    load = Load(streams=200, fps=30, version=3)
    even, pinned = (waiting(COSTS, load, 6, spread) for spread in Spread)
    assert pinned.busy.max() > even.busy.max()
    assert pinned.quantile(0.99) > even.quantile(0.99)


def test_the_same_seed_simulates_the_same() -> None:
    """A figure in the documents can be had again; and a second of 1,000 cameras takes seconds."""
    load, begun = Load(streams=1000, fps=30, version=3), time.perf_counter()
    one, again = (waiting(COSTS, load, 14, Spread.PINNED, seed=3) for _ in range(2))
    assert (one.waits == again.waits).all()
    assert time.perf_counter() - begun < 10


def test_a_camera_sends_its_frames_evenly() -> None:
    """As many as it should, in order, with its own phase and a tenth of jitter."""
    times, who = cameras(50, 30, 2.0, 0)
    assert (np.diff(times) >= 0).all()
    for camera in range(50):
        own = times[who == camera]
        assert len(own) == 60
        assert np.abs(np.diff(own) * 30 - 1).max() <= 0.2 + 1e-9


# --- the page ----------------------------------------------------------------------------------


def test_the_page_is_written_between_its_marks() -> None:
    """Again and again, with all around them kept; a page without them is refused."""
    page = "one\n<!-- a -->\n<!-- /a -->\ntwo\n"
    once = marked(page, {"a": "new"})
    assert once == "one\n<!-- a -->\nnew\n<!-- /a -->\ntwo\n"
    assert marked(once, {"a": "new"}) == once
    with pytest.raises(ValueError, match="<!-- b -->"):
        marked(page, {"b": "new"})


# --- bytes -------------------------------------------------------------------------------------


def test_bytes_of_calls_are_those_of_the_socket(up: Serving) -> None:
    """The head is the sender's own; the answers are the server's."""
    with lines(up.address, CALL, 1) as (line,):
        send_calls([line], 1000, 0.02)
        before = line.counted()
        paced = send_calls([line], 2000, 0.1)
        up_bytes, down_bytes, *_ = _added(before, line.counted(), paced)
        block = line._header_block("Predict")
    payload = wire.call_payload(head=len(block))
    assert up_bytes == pytest.approx(payload.up, rel=0.02)
    assert down_bytes == pytest.approx(payload.down, rel=0.06)  # this engine knows no rejection


def test_bytes_and_packets_of_frames_are_those_of_the_socket(up: Serving) -> None:
    """Windows that the server opens included; an answer acknowledges what it answers."""
    with lines(up.address, FRAME, 2) as both:
        cameras_up = Cameras(both, 2)
        before = [line.counted() for line in both]
        paced = cameras_up.send(200, 0.5)
        after = [line.counted() for line in both]
    added = np.sum([np.subtract(b, a) for a, b in zip(before, after, strict=True)], axis=0)
    up_bytes, down_bytes, packets_up, packets_down = added / paced.answers
    payload = wire.frame_payload(sequence=60)
    assert up_bytes == pytest.approx(payload.up, rel=0.01)
    assert down_bytes == pytest.approx(payload.down, rel=0.15)
    assert 0.3 < packets_up < 1.6
    assert 0.3 < packets_down < 1.6


def test_bytes_of_a_real_client_are_those_that_are_foretold(up: Serving) -> None:
    """grpcio, once it has said what it says at first."""
    counted = python_calls(up.address, 50)
    payload = wire.call_payload()
    assert counted.up == pytest.approx(payload.up, rel=0.05)
    assert counted.down == pytest.approx(payload.down, rel=0.05)


def test_packets_carry_what_fits_them() -> None:
    """A message of 32 images fills 18 packets, and brings back an acknowledgement for every two."""
    payload = wire.call_payload(32)
    on_the_wire = wire.on_the_wire(payload)
    assert on_the_wire.up - payload.up == 18 * wire.PACKET
    assert on_the_wire.down - payload.down == 9 * wire.PACKET


def test_messages_that_go_together_share_packets() -> None:
    """Of two frames at once each takes less than of one."""
    payload = wire.frame_payload()
    assert wire.on_the_wire(payload, 4).up < wire.on_the_wire(payload).up


def _added(before: tuple[int, ...], after: tuple[int, ...], paced: Paced) -> list[float]:
    return [(end - begin) / paced.answers for begin, end in zip(before, after, strict=True)]
