"""MLServer, as fast as it goes: no inference workers, no access log."""

import json

from benchmarks.peers.peer import SERVERS, Peer, Place
from benchmarks.peers.wire import OPEN_INFERENCE


def _command(place: Place) -> list[str]:
    settings = {
        "host": "127.0.0.1",
        "grpc_port": place.grpc,
        "http_port": place.http,
        "metrics_port": place.spare,
        "parallel_workers": 0,  # the default, 1, answers half as many calls
        "debug": False,
    }
    model = {"name": "digits", "implementation": f"{SERVERS}.mlserver.Digits"}
    (place.folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    (place.folder / "model-settings.json").write_text(json.dumps(model), encoding="utf-8")
    return [str(place.python.with_name("mlserver")), "start", str(place.folder)]


PEER = Peer(
    name="MLServer",
    requirements="mlserver",
    wire=OPEN_INFERENCE,
    command=_command,
    needed=2.0,
    packages=("mlserver", "grpcio", "protobuf", "uvloop"),
)
