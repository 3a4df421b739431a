"""What the tutorials show: sync grpcio, Keras, `model(x)` for each request."""

from benchmarks.peers.peer import Peer
from benchmarks.peers.wire import DIGITS

PEER = Peer(
    name="tutorial, model(x)",
    requirements="tutorial",
    wire=DIGITS,
    command=lambda place: place.serve("tutorial", http=False),
    variables=lambda _: {"TF_CPP_MIN_LOG_LEVEL": "3"},
    stubs=True,
    packages=("tensorflow", "keras", "grpcio", "protobuf"),
)
