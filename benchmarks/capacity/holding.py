"""What it costs to hold something open that says nothing: a worker, a connection, a stream."""

import os
import time
from dataclasses import dataclass

from benchmarks.capacity.sender import Cameras, lines
from benchmarks.capacity.worker import Server, server

_CONNECTIONS, _STREAMS = 500, 2000
# Connections that streams share while they are weighed.
_FEW = 10
_IDLE_S = 2.0
# What processor time is counted in.
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Holding:
    """Memory and processor time of what is open.

    Attributes:
        worker_mb: of a process that has begun to answer.
        connection_kb: of a connection more.
        stream_kb: of a stream more on it, after its first frame.
        connection_us: of a core, to open and close a connection.
        stream_us: of a core, to open a stream and to answer its first frame.
        idle_us: of a core in a second, for a stream without frames, at most.
    """

    worker_mb: float
    connection_kb: float
    stream_kb: float
    connection_us: float
    stream_us: float
    idle_us: float


def held(version: int) -> Holding:
    """Weighs a server."""
    with server(version) as up:
        _open(up, _FEW, _FEW, 0.0)  # what is made once is made before
        empty, begun = up.command.resident_bytes(), up.command.cpu_seconds()
        with lines(up.command.address, up.frame, _CONNECTIONS):
            connected = up.command.resident_bytes()
        opened = up.command.cpu_seconds()
        streaming, stream_s, idle_s = _open(up, _FEW, _STREAMS, _IDLE_S)
        # The connections have given back their memory, or it serves the streams.
        return Holding(
            empty / 1e6,
            (connected - empty) / _CONNECTIONS / 1e3,
            (streaming - empty) / _STREAMS / 1e3,
            (opened - begun) / _CONNECTIONS * 1e6,
            stream_s / _STREAMS * 1e6,
            (idle_s + _TICK_S) / _IDLE_S / _STREAMS * 1e6,
        )


def _open(up: Server, connections: int, streams: int, idle_s: float) -> tuple[int, float, float]:
    """Bytes while streams are open; seconds to open them; seconds that they took while idle."""
    with lines(up.command.address, up.frame, connections) as opened:
        begun = up.command.cpu_seconds()
        Cameras(opened, streams)
        resident, ready = up.command.resident_bytes(), up.command.cpu_seconds()
        time.sleep(idle_s)
        return resident, ready - begun, up.command.cpu_seconds() - ready
