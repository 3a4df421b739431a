"""Asks by the Open Inference Protocol, with messages as its clients write them."""

from collections.abc import Iterable
from typing import Any

import grpc

from digitserve.server.adapters.open_inference.messages import NAME, message
from support.serving import Serving

Request: Any = message("ModelInferRequest")
Response: Any = message("ModelInferResponse")
StreamResponse: Any = message("ModelStreamInferResponse")


def infer_request(pixels: bytes | None = bytes(784), **fields: Any) -> Any:
    """One image, asked as tritonclient asks, if `fields` do not say otherwise."""
    tensor = {"name": "pixels", "datatype": "UINT8", "shape": [1, 28, 28]}
    tensor |= {name: fields.pop(name) for name in ("datatype", "shape") if name in fields}
    told = {"model_name": "digits", "inputs": [tensor]} | fields
    if pixels is not None:
        told.setdefault("raw_input_contents", [pixels])
    return Request(**told)


def asked_for(*names: str) -> list[dict[str, str]]:
    """The outputs of a request."""
    return [{"name": name} for name in names]


class Asking:
    """A client over a channel."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel

    def ask(self, method: str, metadata: tuple[tuple[str, str], ...] = (), **fields: Any) -> Any:
        """Calls a method of one request and one response."""
        return self.send(method, message(f"{method}Request")(**fields), metadata)

    def send(self, method: str, request: Any, metadata: tuple[tuple[str, str], ...] = ()) -> Any:
        """The same, of a request that is made already."""
        call = self._channel.unary_unary(
            f"/{NAME}/{method}",
            request_serializer=_bytes,
            response_deserializer=message(f"{method}Response").FromString,
        )
        return call(request, metadata=metadata, timeout=60)

    def infer(self, request: Any, metadata: tuple[tuple[str, str], ...] = ()) -> Any:
        """ModelInfer."""
        return self.send("ModelInfer", request, metadata)

    def stream(self, requests: Iterable[Any], metadata: tuple[tuple[str, str], ...] = ()) -> Any:
        """ModelStreamInfer."""
        call = self._channel.stream_stream(
            f"/{NAME}/ModelStreamInfer",
            request_serializer=_bytes,
            response_deserializer=StreamResponse.FromString,
        )
        return call(iter(requests), metadata=metadata, timeout=60)


def refused(up: Serving, request: Any) -> tuple[str, str]:
    """The code and the text with which ModelInfer refuses."""
    with up.channel() as channel:
        try:
            Asking(channel).infer(request)
        except grpc.RpcError as error:
            return error.code().name, str(error.details())
    return "OK", ""


def _bytes(request: Any) -> bytes:
    sent: bytes = request if isinstance(request, bytes) else request.SerializeToString()
    return sent
