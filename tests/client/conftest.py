"""What tests of the client share."""

import socket

import pytest


@pytest.fixture
def address() -> str:
    """A port that was free a moment ago."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return "{}:{}".format(*free.getsockname())
