"""The network as a Ray Serve deployment behind its gRPC ingress, with digitserve.v1's stubs."""

import argparse
import os
import signal

import numpy as np
import ray
from ray import serve
from ray.serve.config import HTTPOptions, gRPCOptions

from benchmarks.peers.servers.network import Network
from digitserve.v1 import digits_pb2

ADD_SERVICER = "digitserve.v1.digits_pb2_grpc.add_DigitServiceServicer_to_server"


class Digits:
    """One replica."""

    def __init__(self) -> None:
        self._network = Network()

    async def Predict(  # noqa: N802 - the stub's name
        self, request: digits_pb2.PredictRequest
    ) -> digits_pb2.PredictResponse:
        """Runs one image."""
        image = np.frombuffer(request.pixels, np.uint8).reshape(1, 28, 28)
        (probabilities,) = self._network.predict(image)
        digit = int(probabilities.argmax())
        prediction = digits_pb2.Prediction(
            digit=digit,
            confidence=probabilities[digit],
            probabilities=probabilities,
            rejection=1 - probabilities[digit],
        )
        return digits_pb2.PredictResponse(predictions=[prediction], model_version=1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("grpc", type=int)
    parser.add_argument("http", type=int)
    ports = parser.parse_args()
    # `_temp_dir`: its sockets and logs would stay in /tmp/ray.
    ray.init(
        address="local",
        include_dashboard=False,
        log_to_driver=False,
        _temp_dir=os.environ["TMPDIR"],
    )
    serve.start(
        http_options=HTTPOptions(host="127.0.0.1", port=ports.http),
        grpc_options=gRPCOptions(port=ports.grpc, grpc_servicer_functions=[ADD_SERVICER]),
    )
    deployment = serve.deployment(
        Digits, num_replicas=1, max_ongoing_requests=64, ray_actor_options={"num_cpus": 0}
    )
    serve.run(deployment.bind(), name="digits")
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    ray.shutdown()
