"""What an adapter is asked: a server with an engine that says the digit of the first pixel."""

from collections.abc import Iterator

import pytest

from support.engines import InkEngine
from support.open_inference import Asking
from support.serving import Serving, serving, versions_of


@pytest.fixture(scope="module", name="ink")
def _ink() -> Iterator[Serving]:
    """A real server; version 1 is run by an `InkEngine`."""
    with serving(versions=versions_of(InkEngine())) as up:
        yield up


@pytest.fixture(name="asking")
def _asking(ink: Serving) -> Iterator[Asking]:
    """A client of it."""
    with ink.channel() as channel:
        yield Asking(channel)
