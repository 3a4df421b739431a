"""The network as an MLServer runtime; `mlserver start` imports it by name."""

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

from benchmarks.peers.servers.network import Network


class Digits(MLModel):  # type: ignore[misc]  # MLServer is not in this environment
    """uint8[1, 28, 28] in, float32[1, 10] out."""

    async def load(self) -> bool:
        """Reads the network."""
        self._network = Network()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Runs one image."""
        image = NumpyCodec.decode_input(payload.inputs[0]).astype(np.uint8, copy=False)
        output = NumpyCodec.encode_output("probabilities", self._network.predict(image))
        return InferenceResponse(model_name=self.name, outputs=[output])
