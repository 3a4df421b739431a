"""The floor of Python and gRPC: the same messages from a bare `grpc.aio` server, no model."""

from benchmarks.peers.peer import Peer
from benchmarks.peers.wire import DIGITS

PEER = Peer(
    name="bare grpc.aio echo",
    wire=DIGITS,
    command=lambda place: place.serve("echo", http=False),
    stubs=True,
    model=False,
    packages=("grpcio", "protobuf"),
)
