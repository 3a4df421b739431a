"""The server of the usual tutorial: sync grpcio, Keras, `model(x)` for each request."""

import argparse
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import keras
import numpy as np

from benchmarks.peers.servers.network import MODEL
from digitserve.v1 import digits_pb2, digits_pb2_grpc

THREADS = 10  # what the tutorials write


class Digits(digits_pb2_grpc.DigitServiceServicer):  # type: ignore[misc]  # generated
    """Calls the Keras model."""

    def __init__(self) -> None:
        self._model = keras.models.load_model(MODEL.with_name("epic_num_reader.keras"))

    def Predict(  # noqa: N802 - the stub's name
        self, request: digits_pb2.PredictRequest, _: Any
    ) -> digits_pb2.PredictResponse:
        """Runs one image."""
        image = np.frombuffer(request.pixels, np.uint8).reshape(1, 28, 28).astype(np.float32)
        (probabilities,) = np.asarray(self._model(image))
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
    server = grpc.server(ThreadPoolExecutor(THREADS))
    digits_pb2_grpc.add_DigitServiceServicer_to_server(Digits(), server)
    server.add_insecure_port(f"127.0.0.1:{parser.parse_args().grpc}")
    server.start()
    server.wait_for_termination()
