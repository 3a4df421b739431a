"""The network bound to PyTriton: Triton's front end, the function in this process."""

import argparse
import signal

import numpy as np
import numpy.typing as npt
from pytriton.model_config import ModelConfig, Tensor
from pytriton.proxy.types import Request
from pytriton.triton import Triton, TritonConfig

from benchmarks.peers.servers.network import Network

network = Network()


def infer(requests: list[Request]) -> list[dict[str, npt.NDArray[np.float32]]]:
    """Each request is one image."""
    return [{"probabilities": network.predict(request["pixels"])} for request in requests]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("grpc", type=int)
    parser.add_argument("http", type=int)
    ports = parser.parse_args()
    config = TritonConfig(
        grpc_address="127.0.0.1",
        grpc_port=ports.grpc,
        http_address="127.0.0.1",
        http_port=ports.http,
        allow_metrics=False,
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # it cleans up on Ctrl-C only
    with Triton(config=config) as server:
        server.bind(
            model_name="digits",
            infer_func=infer,
            inputs=[Tensor(name="pixels", dtype=np.uint8, shape=(28, 28))],
            outputs=[Tensor(name="probabilities", dtype=np.float32, shape=(10,))],
            config=ModelConfig(max_batch_size=16),  # the default, 4, answers a quarter fewer,
        )
        server.serve()
