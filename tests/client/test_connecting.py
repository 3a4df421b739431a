"""A server that is far away is reached; a host that is silent is left for the next address."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from digitserve.client import DigitClient
from support.engines import InkEngine, image_of
from support.serving import serving, versions_of

# Longer than gRPC gives a connection by the options of old, shorter than any caller's patience.
_FAR_S = 1.5


@contextmanager
def far(address: str) -> Iterator[str]:
    """The server at the end of a slow link: its first bytes take long."""
    ended = threading.Event()
    sockets: list[socket.socket] = []

    def pass_on(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def answer(source: socket.socket, sink: socket.socket) -> None:
        ended.wait(_FAR_S)  # the link's time, not a test's waiting
        pass_on(source, sink)

    def accept() -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                host, _, port = address.rpartition(":")
                server = socket.create_connection((host, int(port)))
                sockets.extend((near, server))
                threading.Thread(target=pass_on, args=(near, server), daemon=True).start()
                threading.Thread(target=answer, args=(server, near), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield "{}:{}".format(*listener.getsockname())
        ended.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
    for each in sockets:
        each.close()


def test_a_server_whose_first_bytes_take_long_is_reached() -> None:
    """As long as the caller has patience."""
    with (
        serving(versions=versions_of(InkEngine())) as up,
        far(up.address) as address,
        DigitClient(address, timeout=60) as client,
    ):
        assert client.predict(image_of(4)).digit == 4


def test_a_host_that_is_silent_is_left_for_the_next_address(silent: str) -> None:
    """Within the default timeout of a call."""
    with (
        serving(versions=versions_of(InkEngine())) as up,
        DigitClient([silent, up.address]) as client,
    ):
        assert client.predict(image_of(4)).digit == 4
