"""KServe's Python SDK, started as its own serving runtimes are, without Kubernetes."""

from benchmarks.peers.peer import Peer
from benchmarks.peers.wire import OPEN_INFERENCE

PEER = Peer(
    name="KServe",
    requirements="kserve",
    wire=OPEN_INFERENCE,
    command=lambda place: place.serve("kserve"),
    needed=1.6,
    packages=("kserve", "grpcio", "protobuf", "uvloop"),
)
