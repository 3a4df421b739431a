"""The servers that are measured, one file each."""

from benchmarks.peers.known import (
    digitserve,
    echo,
    kserve,
    mlserver,
    pytriton,
    ray_serve,
    triton,
    tutorial,
)

OURS = digitserve.PEER
FLOOR = echo.PEER
TRITON = triton.PEER
PEERS = (
    OURS,
    FLOOR,
    TRITON,
    triton.GATHERING,
    pytriton.PEER,
    kserve.PEER,
    mlserver.PEER,
    ray_serve.PEER,
    tutorial.PEER,
)
