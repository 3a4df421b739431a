"""PyTriton: Triton's C++ front end, its proxy backend, and the function in the caller's process."""

from benchmarks.peers.known.triton import variables
from benchmarks.peers.peer import Peer
from benchmarks.peers.wire import OPEN_INFERENCE

PEER = Peer(
    name="PyTriton",
    requirements="pytriton",
    wire=OPEN_INFERENCE,
    command=lambda place: place.serve("pytriton"),
    variables=variables,
    needed=1.6,
    packages=("nvidia-pytriton", "tritonclient", "grpcio", "protobuf"),
)
