"""What tests of the client share."""

import socket
from collections.abc import Iterator

import pytest


@pytest.fixture
def address() -> str:
    """A port that was free a moment ago."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return "{}:{}".format(*free.getsockname())


@pytest.fixture
def silent() -> Iterator[str]:
    """A host that can be reached and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield "{}:{}".format(*listener.getsockname())
