"""A name with many addresses: all their servers are asked in turn, but those that do not serve."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from digitserve.client import DigitClient, Predicted
from support.engines import InkEngine, image_of
from support.serving import Serving, serving, versions_of

SEVEN = image_of(7)


@dataclass(frozen=True)
class Three:
    """Servers of one name.

    Attributes:
        name: what has all their addresses.
    """

    servers: list[Serving]
    engines: list[InkEngine]

    @property
    def name(self) -> str:
        return "ipv4:" + ",".join(each.address for each in self.servers)

    def counts(self) -> list[int]:
        """How many images each has been asked."""
        return [each.images for each in self.engines]

    def asked(self, client: DigitClient, calls: int) -> list[int]:
        """How many of so many calls each is asked."""
        before = self.counts()
        for _ in range(calls):
            assert client.predict(SEVEN).digit == 7
        return [now - then for now, then in zip(self.counts(), before, strict=True)]

    def until_asked(self, client: DigitClient, *which: int) -> None:
        """Asks until just these are."""
        while {at for at, count in enumerate(self.asked(client, 12)) if count} != set(which):
            pass


@pytest.fixture
def three() -> Iterator[Three]:
    """Three servers."""
    engines = [InkEngine() for _ in range(3)]
    with ExitStack() as servers:
        up = [servers.enter_context(serving(versions=versions_of(each))) for each in engines]
        yield Three(up, engines)


def test_calls_go_to_each_in_turn(three: Three) -> None:
    """To the last one: 30 calls are ten for each."""
    with DigitClient(three.name, round_robin=True) as client:
        three.until_asked(client, 0, 1, 2)
        assert three.asked(client, 30) == [10, 10, 10]


def test_without_it_one_of_them_is_asked(three: Three) -> None:
    """The first that answers."""
    with DigitClient(three.name) as client:
        assert sorted(three.asked(client, 30)) == [0, 0, 30]


def test_one_that_says_that_it_does_not_serve_is_left(three: Three) -> None:
    """Before it closes, and until it says otherwise."""

    async def welcome(yes: bool) -> None:
        three.servers[1].server.health.welcome(yes)

    with DigitClient(three.name, round_robin=True) as client:
        three.until_asked(client, 0, 1, 2)
        three.servers[1].run(welcome(False))
        three.until_asked(client, 0, 2)
        assert three.asked(client, 30) == [15, 0, 15]
        three.servers[1].run(welcome(True))
        three.until_asked(client, 0, 1, 2)


def test_one_that_stops_is_not_missed(three: Three) -> None:
    """Every call is answered, though it is cut in the middle of them."""
    with DigitClient(three.name, round_robin=True) as client:
        three.until_asked(client, 0, 1, 2)
        three.servers[0].run(three.servers[0].server.stop())
        three.until_asked(client, 1, 2)


def test_streams_go_to_each_in_turn_and_resume_at_another(three: Three) -> None:
    """Three streams, three servers; when one goes, its stream goes on elsewhere."""

    def frames() -> Iterator[bytes]:
        yield SEVEN
        three.servers[2].run(three.servers[2].server.stop())
        yield SEVEN

    with DigitClient(three.name, round_robin=True) as client:
        three.until_asked(client, 0, 1, 2)
        before = three.counts()
        for _ in range(3):
            assert len(list(client.stream([SEVEN]))) == 1
        assert [now - then for now, then in zip(three.counts(), before, strict=True)] == [1, 1, 1]
        outcomes = [each for _ in range(3) for each in client.stream(frames(), max_in_flight=1)]
        assert [each.sequence for each in outcomes] == [0, 1] * 3
        assert all(isinstance(each, Predicted) for each in outcomes)


def test_a_pipeline_shares_one_of_them_and_goes_on_at_another(three: Three) -> None:
    """It is one stream: one server has all of it until that goes."""
    with DigitClient(three.name, round_robin=True) as client, client.pipeline() as pipeline:
        before = three.counts()
        assert [pipeline.predict(SEVEN).digit for _ in range(9)] == [7] * 9
        shares = [now - then for now, then in zip(three.counts(), before, strict=True)]
        assert sorted(shares) == [0, 0, 9]
        busy = three.servers[shares.index(9)]
        busy.run(busy.server.stop())
        assert pipeline.predict(SEVEN).digit == 7
