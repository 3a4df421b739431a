"""Ray Serve with its default proxy: one replica behind the gRPC ingress."""

from benchmarks.peers.peer import Peer
from benchmarks.peers.wire import DIGITS

PEER = Peer(
    name="Ray Serve",
    requirements="ray",
    wire=DIGITS,
    command=lambda place: place.serve("ray_serve"),
    variables=lambda _: {"RAY_USAGE_STATS_ENABLED": "0"},
    stubs=True,
    needed=10.0,
    packages=("ray", "grpcio", "protobuf"),
)
