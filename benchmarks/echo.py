"""The references: a bare `grpc.aio` server that gives the same messages, with or without a model.

Generated stubs, protobuf objects, plain asyncio: what anybody's first Python server pays before it
does anything.  `python -m benchmarks.echo [MODEL.tflite]` prints its address.
"""

import asyncio
import sys
from typing import Any

import grpc

from digitserve.v1 import digits_pb2, digits_pb2_grpc

PREDICTION = digits_pb2.Prediction(
    digit=7, confidence=0.9, probabilities=[0.01] * 7 + [0.9, 0.01, 0.02], rejection=0.1
)


class Echo(digits_pb2_grpc.DigitServiceServicer):  # type: ignore[misc]  # generated
    """Answers every image with the same prediction."""

    async def Predict(  # noqa: N802 - the stub's name
        self, request: digits_pb2.PredictRequest, _: Any
    ) -> digits_pb2.PredictResponse:
        """As many predictions as images."""
        return _answer(request.count)

    async def StreamPredict(self, _: Any, context: Any) -> None:  # noqa: N802 - the stub's name
        """One answer for each frame, in a loop of read and write."""
        sequence = 0
        while (request := await context.read()) is not grpc.aio.EOF:
            frame = request.frame
            response = digits_pb2.StreamPredictResponse(
                sequence=sequence, frame_id=frame.frame_id, predicted=_answer(frame.count)
            )
            response.wait_us = response.model_us = 10
            await context.write(response)
            sequence += 1


class Bare(digits_pb2_grpc.DigitServiceServicer):  # type: ignore[misc]  # generated
    """The least that serves a network: one image a call, no checks."""

    def __init__(self, model: str) -> None:
        from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415 - only for this one

        self._interpreter = Interpreter(model_path=model, num_threads=1)
        (entry,), (out,) = (
            self._interpreter.get_input_details(),
            self._interpreter.get_output_details(),
        )
        self._input, self._output = entry["index"], out["index"]
        self._interpreter.resize_tensor_input(self._input, [1, 28, 28])
        self._interpreter.allocate_tensors()

    async def Predict(  # noqa: N802 - the stub's name
        self, request: digits_pb2.PredictRequest, _: Any
    ) -> digits_pb2.PredictResponse:
        """Runs the network."""
        import numpy as np  # noqa: PLC0415 - only for this one

        image = np.frombuffer(request.pixels, np.uint8).reshape(1, 28, 28)
        self._interpreter.set_tensor(self._input, image)
        self._interpreter.invoke()
        (probabilities,) = self._interpreter.get_tensor(self._output).tolist()
        confidence = max(probabilities)
        prediction = digits_pb2.Prediction(
            digit=probabilities.index(confidence),
            confidence=confidence,
            probabilities=probabilities,
            rejection=1 - confidence,
        )
        return digits_pb2.PredictResponse(predictions=[prediction], model_version=1)


def _answer(count: int) -> digits_pb2.PredictResponse:
    return digits_pb2.PredictResponse(predictions=[PREDICTION] * (count or 1), model_version=1)


async def serve(servicer: Any, port: int = 0) -> None:
    """Serves until it is killed; port 0: a free one."""
    server = grpc.aio.server()
    digits_pb2_grpc.add_DigitServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    print(f"serving on 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(Bare(sys.argv[1]) if len(sys.argv) > 1 else Echo()))
