"""digitserve-server from this tree, as a user starts it."""

from benchmarks.peers.peer import ROOT, Peer, Place
from benchmarks.peers.wire import DIGITS


def _variables(_: Place) -> dict[str, str]:
    return {"PYTHONPATH": f"{ROOT}/protos:{ROOT}/server"}


PEER = Peer(
    name="digitserve",
    wire=DIGITS,
    command=lambda place: [
        str(place.python), "-m", "digitserve.server", "--address", place.address,
        # The network that every peer runs.
        "--models", f"{ROOT}/server/digitserve/server/bundled/1",
    ],
    variables=_variables,
    packages=("grpcio", "protobuf", "numpy", "ai-edge-litert", "uvloop"),
)  # fmt: skip
