"""The network as a model of Triton's Python backend, which runs it in a process of its own."""

from typing import Any

import triton_python_backend_utils as triton

from benchmarks.peers.servers.network import Network


class TritonPythonModel:
    """uint8[1, 28, 28] in, float32[1, 10] out."""

    def initialize(self, _: dict[str, str]) -> None:
        """Reads the network."""
        self._network = Network()

    def execute(self, requests: list[Any]) -> list[Any]:
        """Runs what Triton hands over: each request is one image."""
        return [
            triton.InferenceResponse(
                [
                    triton.Tensor(
                        "probabilities",
                        self._network.predict(
                            triton.get_input_tensor_by_name(request, "pixels").as_numpy()
                        ),
                    )
                ]
            )
            for request in requests
        ]
