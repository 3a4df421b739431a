"""A proxy resets the stream of a server that is gone: the client takes it for what it is."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from digitserve.client import AsyncDigitClient, DigitClient, Unavailable
from support.http2 import HEADERS, RST_STREAM, SETTINGS, frame, number
from support.serving import Serving

# What Envoy and HAProxy say, by RFC 9113: INTERNAL_ERROR and CANCEL.
RESETS = pytest.mark.parametrize("code", [2, 8])


@contextmanager
def resetting(code: int) -> Iterator[str]:
    """Takes calls, and resets each with this code."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            made, _ = listener.accept()
            with made, made.makefile("rb") as said:
                said.read(24)  # the preface
                made.sendall(frame(SETTINGS, 0, 0))
                while len(start := said.read(9)) == 9:
                    said.read(int.from_bytes(start[:3], "big"))
                    if start[3] == HEADERS:
                        stream = int.from_bytes(start[5:], "big")
                        made.sendall(frame(RST_STREAM, 0, stream, number(code)))

        thread = threading.Thread(target=serve)
        thread.start()
        yield "{}:{}".format(*listener.getsockname())
        thread.join(timeout=10)


@RESETS
def test_a_stream_is_resumed_elsewhere(serving: Serving, code: int) -> None:
    """Every frame has its outcome."""
    with resetting(code) as first, DigitClient([first, serving.address]) as client:
        assert len(list(client.stream([bytes(784)] * 20))) == 20


@RESETS
def test_an_async_stream_is_resumed_elsewhere(serving: Serving, code: int) -> None:
    """The same for the other client."""

    async def scenario(first: str) -> int:
        async with AsyncDigitClient([first, serving.address]) as client:
            return len([each async for each in client.stream([bytes(784)] * 20)])

    with resetting(code) as first:
        assert serving.run(scenario(first)) == 20


@RESETS
def test_a_call_fails_as_if_nobody_were_there(code: int) -> None:
    """It is not the server's INTERNAL, which its log would know."""
    with resetting(code) as address, DigitClient(address) as client, pytest.raises(Unavailable):
        client.predict(bytes(784))
