"""The playground as a browser has it: really listening, in a thread of its own."""

import json
import logging
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from digitserve.client import AsyncDigitClient
from digitserve.client.playground.serve import make_server
from digitserve.client.playground.wire import Kind

# Of what is drawn here.
SIDE = 56
_HEADER = struct.Struct("<BBBBIHH")


@dataclass(frozen=True)
class Playing:
    """A playground that is up.

    Attributes:
        host: where, as `host:port`.
    """

    host: str

    @contextmanager
    def page(self) -> Iterator["Page"]:
        """An open page."""
        with self.socket() as opened:
            yield Page(opened)

    def socket(self, origin: str | None = None, **headers: str) -> ClientConnection:
        """A WebSocket as the page opens it, unless another origin or Host is given."""
        origin = f"http://{self.host}" if origin is None else origin
        return connect(
            f"ws://{self.host}/stream",
            origin=Origin(origin) if origin else None,
            additional_headers=headers,
            compression=None,
            proxy=None,
            open_timeout=60,
        )


class Page:
    """What a page says and hears."""

    def __init__(self, opened: ClientConnection) -> None:
        self.socket = opened

    def hear(self, *kinds: str) -> dict[str, Any]:
        """Waits for the next thing of one of these kinds."""
        while True:
            said: dict[str, Any] = json.loads(self.socket.recv(timeout=60))
            if said["kind"] in kinds:
                return said

    def ask(self, message: bytes) -> dict[str, Any]:
        """Sends a picture and waits for what becomes of it."""
        self.socket.send(message)
        return self.hear("answer", "picture", "blank", "skipped", "failed")


def message(
    grey: bytes,
    *,
    kind: int = Kind.DRAWING,
    flags: int = 0,
    frame: int = 1,
    size: tuple[int, int] = (SIDE, SIDE),
) -> bytes:
    """A browser's message."""
    return _HEADER.pack(1, kind, flags, 0, frame, *size) + grey


def stroke() -> bytes:
    """An upright stroke, a one, off the middle."""
    row = bytes(10) + b"\xff" * 5 + bytes(SIDE - 15)
    return bytes(SIDE * 8) + row * 30 + bytes(SIDE * (SIDE - 38))


class _Complaints(logging.Handler):
    """What the web server had to complain of: nothing, whatever pages do."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps it."""
        self.said.append(self.format(record))


@contextmanager
def playing(address: str) -> Iterator[Playing]:
    """A playground of the server at `address`, while the block runs."""
    server = make_server(lambda: AsyncDigitClient(address), address, "127.0.0.1")
    complaints = _Complaints()  # after uvicorn has set up its logging
    logging.getLogger("uvicorn.error").addHandler(complaints)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],), name="playground")
        thread.start()
        try:
            yield Playing("{}:{}".format(*listening.getsockname()))
        finally:
            server.should_exit = True
            thread.join()
            logging.getLogger("uvicorn.error").removeHandler(complaints)
    assert not complaints.said
