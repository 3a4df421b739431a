"""A relay that counts: what a real client and the server say to each other, in bytes."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import grpc

from benchmarks.capacity.wire import Ways
from digitserve.v1 import digits_pb2, digits_pb2_grpc


@dataclass(slots=True)
class Counted:
    """Bytes so far.

    Attributes:
        address: where clients connect.
        up: bytes to the server.
        down: bytes from it.
    """

    address: str
    up: int = 0
    down: int = 0


@contextmanager
def relayed(address: str) -> Iterator[Counted]:
    """Lets one client at a server."""
    with socket.create_server(("127.0.0.1", 0)) as entry:
        counted = Counted(f"127.0.0.1:{entry.getsockname()[1]}")

        def serve() -> None:
            client, _ = entry.accept()
            host, _, port = address.rpartition(":")
            with client, socket.create_connection((host, int(port))) as server:
                back = threading.Thread(target=_pump, args=(server, client, counted, "down"))
                back.start()
                _pump(client, server, counted, "up")
                back.join()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield counted
        finally:
            thread.join()


def python_calls(address: str, calls: int) -> Ways:
    """Bytes of a unary call of grpcio with a deadline, when it has said what it says at first."""
    request = digits_pb2.PredictRequest(pixels=bytes(range(98)) * 8)
    with relayed(address) as counted, grpc.insecure_channel(counted.address) as channel:
        stub: Any = digits_pb2_grpc.DigitServiceStub(channel)
        for _ in range(10):
            stub.Predict(request, timeout=1.0)
        up, down = counted.up, counted.down
        for _ in range(calls):
            stub.Predict(request, timeout=1.0)
        return Ways((counted.up - up) / calls, (counted.down - down) / calls)


def _pump(source: socket.socket, sink: socket.socket, counted: Counted, way: str) -> None:
    with suppress(OSError):  # either side may be gone before the other is told
        while data := source.recv(1 << 16):
            setattr(counted, way, getattr(counted, way) + len(data))
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
