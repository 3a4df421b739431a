"""The laws of both loops, on a clock that is moved: nothing here sleeps."""

import asyncio
from collections.abc import Sequence
from itertools import takewhile

import pytest
from google.rpc.status_pb2 import Status
from grpc import StatusCode
from hypothesis import given
from hypothesis import strategies as st

from digitserve.client import Prediction, Unavailable
from digitserve.client.errors import CallError
from digitserve.client.load import Arrivals, Record, batches_of, closed_loop, open_loop, starts
from support.clock import run_moved

BATCHES = batches_of([bytes(784)], 1)
ANSWER = [Prediction(3, 0.9, (), None, 1)]


class Answerer:
    """Answers after so many seconds, stands still for a while, and fails every so many calls."""

    def __init__(
        self,
        seconds: float,
        stall: tuple[float, float] = (0, 0),
        fails: int = 0,
        code: StatusCode = StatusCode.RESOURCE_EXHAUSTED,
    ) -> None:
        self.asked: list[float] = []
        self.most = self._now = 0
        self._seconds, self._stall, self._fails, self._code = seconds, stall, fails, code

    async def __call__(self, _: memoryview) -> Sequence[Prediction]:
        clock = asyncio.get_running_loop().time
        self.asked.append(clock())
        number = len(self.asked)
        self._now += 1
        self.most = max(self.most, self._now)
        begin, end = self._stall
        held = max(0, end - clock()) if clock() >= begin else 0
        await asyncio.sleep(held + self._seconds)
        self._now -= 1
        if self._fails and number % self._fails == 0:
            raise CallError.from_status(Status(code=self._code.value[0], message="no"))
        return ANSWER


def opened(
    server: Answerer, rate: float, seconds: float = 10, bound: int = 1000, seed: int | None = None
) -> Record:
    async def run() -> Record:
        record = Record(asyncio.get_running_loop().time() + seconds)
        arrivals = Arrivals.EVEN if seed is None else Arrivals.POISSON
        schedule = starts(rate, arrivals, seed or 0)
        await open_loop(server, BATCHES, schedule, bound=bound, record=record)
        record.close("INTERRUPTED")
        return record

    return run_moved(run())


def closed(server: Answerer, callers: int, seconds: float = 10) -> Record:
    async def run() -> Record:
        record = Record(asyncio.get_running_loop().time() + seconds)
        await closed_loop(server, BATCHES, callers, record)
        record.close("INTERRUPTED")
        return record

    return run_moved(run())


class TestTheSchedule:
    @given(st.floats(0.1, 1e5), st.integers(0, 100))
    def test_poisson_is_told_by_its_seed(self, rate: float, seed: int) -> None:
        """The same seed gives the same starts, each later than the one before."""
        one, other = (starts(rate, Arrivals.POISSON, seed) for _ in range(2))
        pairs = [(next(one), next(other)) for _ in range(50)]
        assert all(a == b for a, b in pairs)
        assert sorted(pairs) == pairs

    @pytest.mark.parametrize("arrivals", Arrivals)
    def test_the_rate_is_kept(self, arrivals: Arrivals) -> None:
        """Over many calls; Poisson's spread of 100 in 10,000 is four times allowed for."""
        many = sum(1 for _ in takewhile(lambda at: at < 100, starts(100, arrivals, 1)))
        assert abs(many - 10_000) <= 400

    @given(st.floats(0, 0.5), st.floats(0, 5), st.integers(1, 100))
    def test_does_not_depend_on_the_server(self, takes: float, stall: float, seed: int) -> None:
        """Calls start when they are meant to, however slowly others are answered."""
        slow = Answerer(takes, stall=(2, 2 + stall))
        record = opened(slow, rate=20, seed=seed)
        meant = list(takewhile(lambda at: at < 10, starts(20, Arrivals.POISSON, seed)))
        assert slow.asked == pytest.approx(meant)
        assert record.sent == record.answered == len(meant)


class TestAStall:
    def test_shows_in_an_open_loop(self) -> None:
        """A second of standing still in ten holds up a tenth of the calls: p99 says so."""
        record = opened(Answerer(0.001, stall=(5, 6)), rate=100)
        assert record.latency.quantile(0.5) == pytest.approx(0.001, rel=0.01)
        assert record.latency.quantile(0.99) == pytest.approx(0.9, abs=0.02)

    def test_hides_from_a_closed_loop(self) -> None:
        """Which is why there is an open one: the only caller met it once."""
        record = closed(Answerer(0.001, stall=(5, 6)), callers=1)
        assert record.latency.quantile(0.99) == pytest.approx(0.001, rel=0.01)
        assert record.latency.longest == pytest.approx(1, abs=0.01)

    def test_of_the_generator_counts_as_well(self) -> None:
        """A call that is sent late is timed from when it was meant to be sent."""

        async def run() -> Record:
            loop = asyncio.get_running_loop()
            record = Record(loop.time() + 2)
            # The loop is held for a second, as by a garbage collection: its clock jumps.
            clock = loop._clock  # type: ignore[attr-defined]
            loop.call_at(0.5, lambda: setattr(clock, "now", clock.now + 1))
            schedule = starts(10, Arrivals.EVEN, 0)
            await open_loop(Answerer(0.0), BATCHES, schedule, bound=100, record=record)
            return record

        record = run_moved(run())
        assert record.sent == 20
        assert record.latency.longest == pytest.approx(1, abs=0.11)
        assert record.late.longest == pytest.approx(1, abs=0.11)


class TestTheBooks:
    @given(st.floats(0, 3), st.integers(1, 8), st.integers(0, 5))
    def test_of_an_open_loop_add_up(self, takes: float, bound: int, fails: int) -> None:
        """Intended = sent + not sent, sent = answered + failed; the bound is kept."""
        server = Answerer(takes, fails=fails)
        record = opened(server, rate=7, bound=bound)
        assert record.sent + record.not_sent == 70
        assert record.sent == record.answered + record.failed.total() == len(server.asked)
        assert record.latency.count == record.answered
        assert server.most <= bound

    @given(st.floats(0.01, 3), st.integers(1, 8), st.integers(0, 5))
    def test_of_a_closed_loop_add_up(self, takes: float, callers: int, fails: int) -> None:
        """Never more in flight than callers."""
        server = Answerer(takes, fails=fails)
        record = closed(server, callers)
        assert record.sent == record.answered + record.failed.total() == len(server.asked)
        assert server.most == callers

    def test_of_a_cancelled_run_add_up(self) -> None:
        """What had no answer yet was interrupted."""

        async def run() -> Record:
            record = Record(100)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(5.5):
                    await closed_loop(Answerer(1), BATCHES, 3, record)
            record.close("INTERRUPTED")
            return record

        record = run_moved(run())
        assert (record.sent, record.answered) == (18, 15)
        assert record.failed == {"INTERRUPTED": 3}

    def test_a_server_that_is_gone_ends_the_run(self) -> None:
        """Long before its time."""
        server = Answerer(0.1, fails=10, code=StatusCode.UNAVAILABLE)
        for record in (closed(server, 1), opened(server, rate=5)):
            assert record.failed == {"UNAVAILABLE": 1}
            assert isinstance(record.gone, Unavailable)
            assert record.sent <= 11


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ([], "WRONG_COUNT"),
        (ANSWER * 2, "WRONG_COUNT"),
        ([Prediction(10, 0.9, (), None, 1)], "WRONG_DIGIT"),
        ([Prediction(4, 0.9, (), None, 1)], "WRONG_ANSWER"),
        ([Prediction(4, 0.9, (), None, 2)], ""),
        (ANSWER, ""),
    ],
)
def test_an_answer_is_verified(answer: list[Prediction], fault: str) -> None:
    """How many, which digits, and the same as at first, by the same version."""
    (batch,) = batches_of([bytes(784)], 1, ANSWER)
    assert batch.fault(answer) == fault
