"""Which version is stable, who may change it, and who answers whom."""

import asyncio
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitserve.server.errors import (
    BadField,
    DomainError,
    NoModelReady,
    NothingBefore,
    PromotionLost,
    UnknownModel,
    VersionInUse,
    VersionLoading,
    VersionRefused,
)
from digitserve.server.turns import Turns
from digitserve.server.versions.registry import Registry
from digitserve.server.versions.settings import Settings
from digitserve.server.versions.version import Findings, State, Version
from digitserve.v1 import manifest_pb2
from support.engines import BrokenEngine, InkEngine


def version(number: int, accuracy: float = 0.99, engine: Any = None) -> Version:
    """A version that reads so much of the gate set."""
    turns = Turns([engine or InkEngine()], inline=True, images=32)
    return Version(number, turns, manifest_pb2.ModelManifest(), Findings(accuracy, 5.0))


def holding(*numbers: int, **said: Any) -> Registry:
    """A registry with these versions, the settings first."""
    registry = Registry()
    registry.configure(Settings(**said))
    registry.publish(map(version, numbers))
    return registry


class TestStable:
    def test_is_the_newest(self) -> None:
        """Also of those that come later; an older one that comes later is not."""
        registry = holding(3, 5)
        assert registry.stable == 5
        registry.add(version(4))
        assert registry.stable == 5
        registry.add(version(6))
        assert registry.stable == 6

    def test_is_what_is_pinned(self) -> None:
        """Whatever comes, and as soon as it is there."""
        registry = holding(3, labels={"stable": 4})
        assert registry.stable is None
        registry.publish([version(4), version(5)])
        assert registry.stable == 4

    def test_is_not_a_version_that_is_worse(self) -> None:
        """By more than the margin: it is refused, and says so when it is asked."""
        registry = holding(3)
        registry.add(version(4, accuracy=0.98))
        assert registry.stable == 3
        with pytest.raises(VersionRefused, match=r"reads 98\.00% of the gate set right, what is"):
            registry.resolve(4, None)
        registry.add(version(5, accuracy=0.986))
        assert registry.stable == 5

    def test_a_worse_version_with_a_label_answers_to_it(self) -> None:
        """A canary may be looked at; it may not be promoted."""
        registry = holding(3, labels={"canary": 4})
        registry.add(version(4, accuracy=0.98))
        assert (registry.stable, registry.resolve(None, "canary").number) == (3, 4)
        with pytest.raises(VersionRefused):
            registry.promote(4, None)

    def test_goes_back_when_it_is_gone(self) -> None:
        """As when its folder was removed: to what was stable before."""
        registry = holding(3, 4, 5)
        registry.forget(5)
        assert registry.stable == 4
        assert registry.roll_back(None).number == 3


class TestPromotion:
    def test_holds_until_something_newer_comes(self) -> None:
        """What was there when the operator decided does not take over again."""
        registry = holding(3, 5)
        registry.promote(3, None)
        registry.add(version(4))
        assert registry.stable == 3
        registry.add(version(6))
        assert registry.stable == 6

    def test_that_lost_to_another_is_told(self) -> None:
        """ABORTED, with what is stable now."""
        registry = holding(3, 5)
        registry.promote(3, 5)
        with pytest.raises(PromotionLost, match="expected version 5 to be stable, it is 3"):
            registry.promote(5, 5)
        with pytest.raises(PromotionLost):
            registry.roll_back(5)
        assert registry.stable == 3

    def test_of_what_cannot_be(self) -> None:
        """Not there, being loaded, refused."""
        registry = holding(3)
        registry.loading(4)
        registry.refuse(5, "slow")
        for number, error in ((9, UnknownModel), (4, VersionLoading), (5, VersionRefused)):
            with pytest.raises(error):
                registry.promote(number, None)
            with pytest.raises(error):
                registry.resolve(number, None)
            with pytest.raises(error):
                registry.set_label("next", number)

    def test_back_and_further_back(self) -> None:
        """Each rollback goes a step; then there is nothing before."""
        registry = holding(3, 4, 5)
        assert [registry.roll_back(None).number for _ in range(2)] == [4, 3]
        with pytest.raises(NothingBefore):
            registry.roll_back(None)
        assert registry.stable == 3
        registry.add(version(4))
        assert registry.stable == 3

    @given(st.lists(st.sampled_from(["promote 1", "promote 2", "promote 3", "back"]), max_size=12))
    def test_there_is_always_one(self, steps: list[str]) -> None:
        """Whatever is promoted and rolled back; a promotion is undone by a rollback."""
        registry = holding(1, 2, 3)
        for step in steps:
            before = registry.stable
            try:
                if step == "back":
                    registry.roll_back(before)
                else:
                    registry.promote(int(step[-1]), before)
                    if registry.stable != before:
                        assert registry.roll_back(None).number == before
                        registry.promote(int(step[-1]), before)
            except DomainError:
                assert registry.stable == before
            assert registry.stable in {1, 2, 3}


class TestLabels:
    def test_are_given_and_taken(self) -> None:
        """And listed with their versions."""
        registry = holding(3, 4)
        registry.set_label("old-one", 3)
        assert registry.resolve(None, "old-one").number == 3
        assert [labels for _, labels in registry.listed()] == [["old-one"], ["stable"]]
        registry.set_label("old-one", None)
        registry.set_label("old-one", None)
        with pytest.raises(UnknownModel, match=r"there is: stable"):
            registry.resolve(None, "old-one")

    @pytest.mark.parametrize("name", ["stable", "", "Canary", "a b", "-a", "x" * 64])
    def test_may_not_be_called_anything(self, name: str) -> None:
        """The field is named."""
        with pytest.raises(BadField, match=r"^label: expected lower-case"):
            holding(3).set_label(name, 3)

    def test_keep_a_version(self) -> None:
        """What bears one cannot be unloaded."""
        registry = holding(3, 4)
        registry.set_label("old", 3)
        for number, error in ((3, VersionInUse), (4, VersionInUse), (9, UnknownModel)):
            with pytest.raises(error):
                registry.check_free(number)
        registry.set_label("old", None)
        registry.check_free(3)


class TestABrokenNetwork:
    def asked(self, registry: Registry, pixel: int) -> None:
        """Asks what is stable about an image, whatever comes of it."""
        images = np.full((1, 28, 28), pixel, np.uint8)

        async def ask() -> None:
            await registry.resolve(None, None).predict(lambda: images, "a caller", 1)

        with suppress(RuntimeError):
            asyncio.run(ask())

    def test_loses_its_place(self) -> None:
        """After three turns in a row; it is refused, with the reason, and not tried again."""
        registry = holding(3)
        registry.add(version(4, engine=BrokenEngine()))
        for _ in range(3):
            assert registry.stable == 4
            self.asked(registry, 255)
        assert registry.stable == 3
        assert registry.rollbacks == 1
        (*_, (entry, labels)) = registry.listed()
        assert (entry.state, labels) == (State.REFUSED, [])
        assert entry.reason == "rolled back: 3 turns broken in a row (RuntimeError)"

    def test_is_not_one_that_a_single_image_breaks(self) -> None:
        """However often that is sent, as long as others are answered in between."""
        registry = holding(3)
        registry.add(version(4, engine=BrokenEngine()))
        for _ in range(5):
            self.asked(registry, 255)
            self.asked(registry, 255)
            self.asked(registry, 7)
        assert registry.stable == 4

    def test_is_counted_once_for_a_turn_that_is_repeated(self) -> None:
        """A stream repeats a broken turn frame by frame: two bad frames are one failure."""
        registry = holding(3)
        registry.add(version(4, engine=BrokenEngine()))
        asyncio.run(self._streamed(registry))
        assert registry.stable == 4

    async def _streamed(self, registry: Registry) -> None:
        images = np.full((2, 28, 28), 255, np.uint8)
        broken = registry.resolve(None, None)
        for part, again in ((images, False), (images[:1], True), (images[1:], True)):
            with suppress(RuntimeError):
                await broken.predict(lambda part=part: part, "a stream", 2, again=again)  # type: ignore[misc]

    def test_that_is_pinned_goes_back_and_stays_pinned(self) -> None:
        """What came before answers, until the pinned version is mended."""
        registry = Registry()
        registry.add(version(3))
        registry.configure(Settings(labels={"stable": 4}))
        registry.add(version(4, engine=BrokenEngine()))
        for _ in range(3):
            self.asked(registry, 255)
        registry.add(version(5))
        assert registry.stable == 3
        registry.add(version(4))
        assert registry.stable == 4

    def test_stays_where_nobody_could_do_better(self) -> None:
        """A server with one version goes on with it."""
        registry = Registry()
        registry.add(version(4, engine=BrokenEngine()))
        for _ in range(5):
            self.asked(registry, 255)
        assert registry.stable == 4


def test_nothing_is_ready_at_first() -> None:
    """Whatever is asked for."""
    registry = Registry()
    registry.loading(1)
    for number, label in ((None, None), (1, None), (None, "canary")):
        with pytest.raises(NoModelReady):
            registry.resolve(number, label)
