"""Turns at a network's engines: cut, run inline or on threads, several at once, and cancelled."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digitserve.server.engines import Answer, Engine
from digitserve.server.engines.litert import LiteRTEngine
from digitserve.server.turns import Turn, Turns
from digitserve.server.versions.bundle import read_bundle
from digitserve.server.versions.loading import BUNDLED
from digitserve.v1 import manifest_pb2
from support.engines import BrokenEngine, HeldEngine, InkEngine

Images = npt.NDArray[np.uint8]

INLINE = pytest.mark.parametrize("inline", [True, False])


class AloneEngine(InkEngine):
    """Remembers on which threads it ran, and whether two were ever in it at once."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[int] = set()
        self.crowded = False
        self._inside = threading.Lock()

    def predict(self, images: Images) -> Answer:
        alone = self._inside.acquire(blocking=False)
        self.crowded |= not alone
        try:
            self.threads.add(threading.get_ident())
            return super().predict(images)
        finally:
            if alone:
                self._inside.release()


class HeldAloneEngine(HeldEngine, AloneEngine):
    """Does not answer until it is let go."""


class MeetingEngine(AloneEngine):
    """Answers only while others of its kind are at work as well."""

    def __init__(self, barrier: threading.Barrier) -> None:
        super().__init__()
        self._barrier = barrier

    def predict(self, images: Images) -> Answer:
        self._barrier.wait(timeout=30)
        return super().predict(images)


@contextmanager
def turns_at(engines: Sequence[Engine], *, inline: bool, images: int = 32) -> Iterator[Turns]:
    turns = Turns(engines, inline=inline, images=images)
    try:
        yield turns
    finally:
        turns.close()


def ink(*digits: int) -> Images:
    images = np.zeros((len(digits), 28, 28), np.uint8)
    images[:, 0, 0] = digits
    return images


async def answered(turns: Turns, images: Images, caller: str = "somebody") -> Turn:
    turn = await turns.predict(lambda: images, caller, len(images))
    assert turn is not None
    return turn


def digits_of(turn: Turn) -> list[int]:
    digits: list[int] = turn.answer.probabilities.argmax(axis=1).tolist()
    return digits


@given(
    digits=st.lists(st.integers(0, 9), min_size=1, max_size=40),
    most=st.integers(1, 8),
    inline=st.booleans(),
)
def test_a_long_message_is_cut_into_turns(digits: list[int], most: int, inline: bool) -> None:
    """Of `images` each but the last; its answer is whole, and in order."""
    engine = InkEngine()
    with turns_at([engine], inline=inline, images=most) as turns:
        turn = asyncio.run(answered(turns, ink(*digits)))
    assert digits_of(turn) == digits
    whole, rest = divmod(len(digits), most)
    assert engine.batches == [most] * whole + [rest] * bool(rest)


@INLINE
def test_others_have_their_turn_within_a_long_message(inline: bool) -> None:
    """Who asks for one image is not kept waiting until a thousand are through."""
    engine = InkEngine()

    async def scenario(turns: Turns) -> int:
        long = asyncio.ensure_future(answered(turns, ink(*[1] * 1000), "long"))
        await asyncio.sleep(0)
        await answered(turns, ink(2), "short")
        before = engine.images
        await long
        return before

    with turns_at([engine], inline=inline) as turns:
        assert asyncio.run(scenario(turns)) < 1001


def bundled_engine() -> LiteRTEngine:
    bundle = read_bundle(BUNDLED / "1")
    return LiteRTEngine(bundle.file(manifest_pb2.ModelFile.ROLE_COMPILED), 32)


_reference = bundled_engine()
_litert = [bundled_engine() for _ in range(2)]


@pytest.mark.parametrize("engines", [1, 2])
@INLINE
@settings(max_examples=25)
@given(
    counts=st.lists(st.integers(1, 70), min_size=1, max_size=6),
    most=st.integers(1, 32),
    seed=st.integers(0, 2**32 - 1),
)
def test_batched_is_one_by_one(
    engines: int, inline: bool, counts: list[int], most: int, seed: int
) -> None:
    """To the bit, of the network that is served, however many ask at the same time."""
    random = np.random.default_rng(seed)
    asked = [random.integers(0, 256, (count, 28, 28), np.uint8) for count in counts]

    async def scenario(turns: Turns) -> list[Turn]:
        each = [answered(turns, images, str(at)) for at, images in enumerate(asked)]
        return await asyncio.gather(*each)

    with turns_at(_litert[:engines], inline=inline, images=most) as turns:
        for images, turn in zip(asked, asyncio.run(scenario(turns)), strict=True):
            alone = [_reference.predict(image[np.newaxis]) for image in images]
            expected = Answer.joined(alone).probabilities
            assert turn.answer.probabilities.tobytes() == expected.tobytes()


def test_several_engines_run_at_the_same_time() -> None:
    """As many turns as there are engines; each engine on a thread of its own."""
    barrier = threading.Barrier(3)
    engines = [MeetingEngine(barrier) for _ in range(3)]

    async def scenario(turns: Turns) -> list[Turn]:
        return await asyncio.gather(*[answered(turns, ink(at), str(at)) for at in range(9)])

    with turns_at(engines, inline=False) as turns:
        told = asyncio.run(scenario(turns))
    assert [digits_of(turn) for turn in told] == [[at] for at in range(9)]
    assert [len(engine.threads) for engine in engines] == [1, 1, 1]
    assert not any(engine.crowded for engine in engines)


@pytest.mark.parametrize("engines", [1, 2])
def test_who_is_cancelled_holds_nobody_up(engines: int) -> None:
    """In the engine or waiting for it; what still runs there is not disturbed by the next."""
    held = [HeldAloneEngine() for _ in range(engines)]

    async def scenario(turns: Turns) -> list[Turn]:
        asked = [
            asyncio.ensure_future(answered(turns, ink(at % 10), str(at % 3))) for at in range(12)
        ]
        for engine in held:
            assert await asyncio.to_thread(engine.entered.wait, 30)
        cancelled = [*asked[:engines], *asked[4:8]]
        for each in cancelled:
            each.cancel()
        await asyncio.wait(cancelled)
        assert all(each.cancelled() for each in cancelled)
        for engine in held:
            engine.go.set()
        return await asyncio.gather(*[each for each in asked if each not in cancelled])

    with turns_at(held, inline=False) as turns:
        told = asyncio.run(scenario(turns))
    expected = [at for at in range(12) if at >= engines and at not in range(4, 8)]
    assert [digits_of(turn) for turn in told] == [[at % 10] for at in expected]
    assert [(engine.crowded, len(engine.threads)) for engine in held] == [(False, 1)] * engines
    assert sum(engine.images for engine in held) == len(expected) + engines


@INLINE
def test_an_engine_that_raises_fails_that_turn_only(inline: bool) -> None:
    """Also in the middle of a long message; the others are answered, and whoever comes after."""
    bad = ink(*[1] * 40, 255, *[1] * 40)

    async def scenario(turns: Turns) -> list[Turn | BaseException]:
        asked = [ink(255) if at % 3 == 1 else ink(at) for at in range(9)]
        each = [answered(turns, images, str(at)) for at, images in enumerate([*asked, bad])]
        told = await asyncio.gather(*each, return_exceptions=True)
        return [*told, await answered(turns, ink(7))]

    with turns_at([BrokenEngine(), BrokenEngine()], inline=inline) as turns:
        told = asyncio.run(scenario(turns))
    failed = [at for at, each in enumerate(told) if not isinstance(each, Turn)]
    assert failed == [1, 4, 7, 9]
    assert all(isinstance(told[at], RuntimeError) for at in failed)
    assert isinstance(told[-1], Turn)
    assert digits_of(told[-1]) == [7]


@INLINE
def test_whoever_has_nothing_to_do_takes_no_turn(inline: bool) -> None:
    """Neither who finds nothing when the turn comes, nor who finds that it is too late."""
    engine = InkEngine()

    def too_late() -> Images:
        raise TimeoutError

    async def scenario(turns: Turns) -> Turn:
        assert await turns.predict(lambda: None, "nothing", 1) is None
        with pytest.raises(TimeoutError):
            await turns.predict(too_late, "late", 1)
        return await answered(turns, ink(3))

    with turns_at([engine], inline=inline) as turns:
        assert digits_of(asyncio.run(scenario(turns))) == [3]
    assert engine.batches == [1]
