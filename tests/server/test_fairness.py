"""Whose turn it is: whoever has had the least lately, and everybody in the end."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitserve.server.fairness import FairLock


async def serve(lock: FairLock, asked: list[tuple[str, int]]) -> list[str]:
    """Asks for all these turns while the lock is held; returns whose came, in order."""
    served: list[str] = []

    async def ask(caller: str, images: int) -> None:
        async with lock.turn(caller, images):
            served.append(caller)

    async with asyncio.TaskGroup() as tasks, lock.turn("first", 1):
        for caller, images in asked:
            tasks.create_task(ask(caller, images))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    return served


def test_a_lone_image_passes_full_turns() -> None:
    """However many streams wait before it."""
    asked = [(f"stream {at}", 32) for at in range(4)] + [("unary", 1)]
    assert asyncio.run(serve(FairLock(), asked))[0] == "unary"


def test_a_flood_only_delays_itself() -> None:
    """Of two callers who ask for the same, one many times, the other is not held up."""
    asked = [("flood", 8)] * 20 + [("other", 8)]
    assert asyncio.run(serve(FairLock(), asked)).index("other") <= 1


@given(
    asked=st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 32)), max_size=40),
)
def test_everybody_is_served_once_in_his_own_order(asked: list[tuple[str, int]]) -> None:
    """Nobody starves, nobody is served twice; equal requests of one caller keep their order."""
    assert Counter(asyncio.run(serve(FairLock(), asked))) == Counter(who for who, _ in asked)


class Places:
    """Who holds a lock, and the most that ever did."""

    def __init__(self, places: int) -> None:
        self.lock = FairLock(places)
        self.holders = self.most = 0
        self.served: list[str] = []

    async def hold(self, caller: str, images: int, steps: int) -> None:
        """Asks for a turn, and keeps it for so many steps of the loop."""
        async with self.lock.turn(caller, images):
            self.holders += 1
            self.most = max(self.most, self.holders)
            self.served.append(caller)
            try:
                for _ in range(steps):
                    await asyncio.sleep(0)
            finally:
                self.holders -= 1


@given(
    places=st.integers(1, 4),
    asked=st.lists(
        st.tuples(st.sampled_from("abcd"), st.integers(1, 32), st.integers(1, 5)), max_size=40
    ),
)
def test_there_are_never_more_holders_than_places(
    places: int, asked: list[tuple[str, int, int]]
) -> None:
    """All of which are used; everybody is served once."""

    async def scenario() -> Places:
        told = Places(places)
        await asyncio.gather(*[told.hold(*each) for each in asked])
        return told

    told = asyncio.run(scenario())
    assert told.most == min(places, len(asked))
    assert told.holders == 0
    assert Counter(told.served) == Counter(who for who, _, _ in asked)


def test_a_flood_only_delays_itself_at_several_places() -> None:
    """It has them all while nobody else asks, and then the next one that is free is another's."""

    async def scenario() -> list[str]:
        told = Places(2)
        flood = [asyncio.ensure_future(told.hold("flood", 8, 3)) for _ in range(20)]
        await asyncio.sleep(0)
        await asyncio.gather(told.hold("other", 8, 1), *flood)
        return told.served

    assert asyncio.run(scenario()).index("other") <= 3


@pytest.mark.parametrize("places", [1, 3])
@given(cancelled=st.sets(st.integers(0, 9)), steps=st.integers(1, 6))
def test_who_is_cancelled_holds_nobody_up(places: int, cancelled: set[int], steps: int) -> None:
    """Whether he waited, had his turn, or it had just come; nor does he leave a place behind."""

    async def scenario() -> Places:
        told = Places(places)
        tasks = [asyncio.ensure_future(told.hold(str(number), 1, 2)) for number in range(10)]
        for _ in range(steps):
            await asyncio.sleep(0)
        for number in cancelled:
            tasks[number].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*[told.hold("last", 1, 1) for _ in range(places + 1)])
        return told

    told = asyncio.run(scenario())
    assert told.most == places
    assert told.served.count("last") == places + 1
    assert set(told.served) >= {str(number) for number in set(range(10)) - cancelled}


def test_nobody_is_remembered_for_ever() -> None:
    """Callers come and go: those that are owed nothing are let go of, in a lull and in a rush."""

    async def scenario() -> tuple[int, int]:
        lull, rush = FairLock(), FairLock()
        for caller in range(5000):
            async with lull.turn(caller, 1):
                pass
        waiting = asyncio.Semaphore(0)

        async def ask(caller: int) -> None:
            async with rush.turn(caller, 1):
                waiting.release()

        async with asyncio.TaskGroup() as tasks:
            for caller in range(5000):
                tasks.create_task(ask(caller))
                if caller > 3:  # a few always wait
                    await waiting.acquire()
        return lull.remembered, rush.remembered

    in_lull, in_rush = asyncio.run(scenario())
    assert in_lull == 0
    assert in_rush < 2000
