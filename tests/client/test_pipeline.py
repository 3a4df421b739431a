"""`client.pipeline()`: callers who travel together are answered, and fail, each for himself."""

import gc
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitserve.client import (
    DeadlineExceeded,
    DigitClient,
    Internal,
    InvalidImage,
    NotFound,
)
from digitserve.client._lane import Ask
from support.callers import Callers, calling, digits_of, error_of
from support.engines import BrokenEngine, HeldEngine, InkEngine, image_of
from support.listener import listening
from support.serving import Serving, serving, versions_of

KINDS = ["tasks", "threads"]
KIND = pytest.mark.parametrize("kind", KINDS)


class HeldBrokenEngine(HeldEngine, BrokenEngine):
    """Breaks at an image that begins with 255, once it is let go."""


class TestAnswers:
    @KIND
    def test_are_those_of_predict(self, serving: Serving, kind: str) -> None:
        """Digit, probabilities and rejection, to the bit; of uint8 and of floats, mixed."""
        random = np.random.default_rng(7)
        levels = random.integers(0, 256, (60, 28, 28), np.uint8)
        images: list[Any] = list(levels[:20])
        images += [each.tobytes() for each in levels[20:30]]
        images += [each / np.float32(255) for each in levels[30:45]]
        images += list(levels[45:] / 255.0)
        random.shuffle(images)
        with DigitClient(serving.address) as client, calling(kind, serving.address) as callers:
            asked = [callers.ask(image) for image in images]
            assert [each.result(60) for each in asked] == [client.predict(each) for each in images]

    @pytest.mark.parametrize("place", range(len(KINDS)), ids=KINDS)
    @given(digits=st.lists(st.integers(0, 9), max_size=60))
    def test_go_to_whoever_asked(self, place: int, digits: list[int]) -> None:
        """However many ask, and in whatever order they come."""
        assert digits_of([_callers[place].ask(image_of(each)) for each in digits]) == digits

    @KIND
    def test_are_as_the_options_say(self, serving: Serving, kind: str) -> None:
        """Brief, of a version, of a label; not of both."""
        for options in ({"brief": True}, {"version": 1}, {"label": "stable"}):
            with (
                DigitClient(serving.address) as client,
                calling(kind, serving.address, **options) as callers,
            ):
                image = image_of(200)
                assert callers.ask(image).result(60) == client.predict(image, **options)
        with DigitClient(serving.address) as client, pytest.raises(ValueError, match="not both"):
            client.pipeline(version=1, label="stable")


_callers: list[Callers] = []


@pytest.fixture(scope="module", autouse=True)
def _ink_callers() -> Iterator[None]:
    """Callers for `@given` tests, which may not have fixtures of their own."""
    with ExitStack() as stack:
        up = stack.enter_context(serving(versions=versions_of(InkEngine())))
        _callers.extend(stack.enter_context(calling(kind, up.address)) for kind in KINDS)
        yield
        _callers.clear()


class TestMessages:
    @KIND
    def test_are_shared_by_who_waits(self, kind: str) -> None:
        """Two under way at most, half of the callers in one at most, and far fewer than calls."""
        digits = [at % 10 for at in range(64)]
        with listening() as (listener, address), calling(kind, address) as callers:
            assert callers.ask(image_of(3)).result(60).digit == 3
            listener.answering.clear()
            asked = callers.ask_together(digits)
            assert listener.two.wait(timeout=30)
            listener.answering.set()
            assert digits_of(asked) == digits
        assert sum(listener.counts) == 65
        assert max(listener.counts) <= 32
        assert len(listener.counts) <= 16
        assert listener.most_unanswered == 2

    @KIND
    def test_hold_one_image_of_a_lone_caller(self, kind: str) -> None:
        """It waits for nobody."""
        with listening() as (listener, address), calling(kind, address) as callers:
            for digit in range(10):
                assert callers.ask(image_of(digit)).result(60).digit == digit
        assert listener.counts == [1] * 10

    @KIND
    @pytest.mark.parametrize(
        "image",
        [
            b"",
            bytes(783),
            "seven",
            np.zeros((2, 28, 28), np.uint8),
            np.zeros((28, 28), np.int64),
            np.full((28, 28), 1.5, np.float32),
            np.full((28, 28), -0.5),
            np.full((28, 28), np.nan, np.float32),
            np.full((28, 28), np.inf),
        ],
        ids=["none", "few", "text", "two", "int64", "above", "below", "nan", "inf"],
    )
    def test_never_hold_a_bad_image(self, kind: str, image: object) -> None:
        """InvalidImage for its caller; nothing was sent."""
        with listening() as (listener, address), calling(kind, address) as callers:
            assert isinstance(error_of(callers.ask(image)), InvalidImage)
            assert not listener.counts
            assert callers.ask(image_of(3)).result(60).digit == 3
        assert listener.counts == [1]


class TestEachCaller:
    @KIND
    @pytest.mark.parametrize("sent", [True, False])
    def test_has_a_deadline_of_his_own(self, kind: str, sent: bool) -> None:
        """Whether his image is under way or waits; the others are answered."""
        engine = HeldEngine()
        with (
            serving(versions=versions_of(engine, inline=False)) as up,
            calling(kind, up.address) as callers,
        ):
            early, late = ([image_of(5)], []) if sent else ([], [image_of(5)])
            hurried = [callers.ask(each, timeout=0.05) for each in early]
            patient = callers.ask_together([1, 2, 3])
            hurried += [callers.ask(each, timeout=0.05) for each in late]
            assert isinstance(error_of(hurried[0]), DeadlineExceeded)
            assert not any(each.done() for each in patient)
            engine.go.set()
            assert digits_of([*patient, callers.ask(image_of(4))]) == [1, 2, 3, 4]

    def test_is_forgotten_when_he_gives_up(self) -> None:
        """Also by a pipeline whose server hangs, while others go on asking in vain."""
        engine = HeldEngine()
        with (
            serving(versions=versions_of(engine, inline=False)) as up,
            calling("tasks", up.address) as callers,
        ):
            held = callers.ask(image_of(1))
            assert engine.entered.wait(timeout=30)
            for _ in range(50):
                error = error_of(callers.ask(image_of(2), timeout=0.001))
                assert isinstance(error, DeadlineExceeded)
                del error  # what it was raised from
            gc.collect()
            remembered = sum(isinstance(each, Ask) for each in gc.get_objects())
            engine.go.set()
            assert held.result(60).digit == 1
        assert remembered < 10

    def test_may_be_cancelled(self) -> None:
        """Whether his image is under way or waits; the others are answered."""
        engine = HeldEngine()
        with (
            serving(versions=versions_of(engine, inline=False)) as up,
            calling("tasks", up.address) as callers,
        ):
            asked = callers.ask_together(range(10))
            assert engine.entered.wait(timeout=30)
            for at in (0, 4, 5):
                assert asked[at].cancel()
            engine.go.set()
            left = [asked[at] for at in (1, 2, 3, 6, 7, 8, 9)]
            assert digits_of([*left, callers.ask(image_of(4))]) == [1, 2, 3, 6, 7, 8, 9, 4]

    @KIND
    @pytest.mark.parametrize("options", [{"version": 99}, {"label": "nope"}])
    def test_is_told_of_an_unknown_model(
        self, serving: Serving, kind: str, options: dict[str, Any]
    ) -> None:
        """NotFound, for each, and for whoever comes after."""
        with calling(kind, serving.address, **options) as callers:
            for _ in range(3):
                errors = [error_of(each) for each in callers.ask_together(range(8))]
                assert [type(each) for each in errors] == [NotFound] * 8

    @KIND
    @pytest.mark.parametrize("broken", [{5}, {0, 5, 19}, set(range(20))])
    def test_answers_for_his_own_image(self, kind: str, broken: set[int]) -> None:
        """One that breaks the engine is Internal; those that shared its message are answered."""
        engine = HeldBrokenEngine()
        with (
            serving(versions=versions_of(engine, inline=False)) as up,
            calling(kind, up.address) as callers,
        ):
            asked = callers.ask_together([255 if at in broken else at % 10 for at in range(20)])
            engine.go.set()
            for at, each in enumerate(asked):
                error = error_of(each)
                if at in broken:
                    assert isinstance(error, Internal)
                    assert "secret" not in str(error)
                else:
                    assert each.result().digit == at % 10
            assert callers.ask(image_of(4)).result(60).digit == 4
