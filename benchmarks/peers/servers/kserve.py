"""The network behind KServe's SDK: one process, its gRPC server, no uvicorn workers beside it."""

import argparse

from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer

from benchmarks.peers.servers.network import Network


class Digits(Model):  # type: ignore[misc]  # KServe is not in this environment
    """uint8[1, 28, 28] in, float32[1, 10] out."""

    def load(self) -> bool:
        """Reads the network."""
        self._network = Network()
        self.ready = True
        return self.ready

    async def predict(self, payload: InferRequest, *_: object, **__: object) -> InferResponse:
        """Runs one image, on the event loop: the network takes microseconds."""
        answer = self._network.predict(payload.inputs[0].as_numpy())
        output = InferOutput("probabilities", list(answer.shape), "FP32")
        output.set_data_from_numpy(answer, binary_data=True)
        return InferResponse(payload.id, self.name, [output])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("grpc", type=int)
    parser.add_argument("http", type=int)
    ports = parser.parse_args()
    digits = Digits("digits")
    digits.load()
    ModelServer(
        http_port=ports.http, grpc_port=ports.grpc, workers=1, enable_latency_logging=False
    ).start([digits])
