"""A server for byte-by-byte conversations, whose engine costs nothing."""

from collections.abc import Iterator

import pytest

from support.engines import InkEngine
from support.http2 import Peer
from support.serving import Serving, serving, versions_of


@pytest.fixture(scope="session", name="up")
def _up() -> Iterator[Serving]:
    """A server that is up; shared, so leave it as it was."""
    with serving(versions=versions_of(InkEngine())) as up:
        yield up


@pytest.fixture
def peer(up: Serving) -> Iterator[Peer]:
    """A connection of its own that has greeted."""
    with Peer(up.address) as peer_:
        yield peer_
