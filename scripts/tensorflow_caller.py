"""A caller of TensorFlow Serving, as its users write one: `tensorflow-serving-api`, unmodified.

Runs in an environment of its own, without digitserve; started by `neighbours_tensorflow.py`.  Reads
images from a `.npy`, asks the server at an address, and tells as JSON what it was answered.
"""

import json
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from google.protobuf import descriptor_pool
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from foreign_messages import differences

PACKAGES = ("tensorflow", "tensorflow.error", "tensorflow.serving")
_TOGETHER = 100


def request_of(tensor: Any) -> Any:
    """A request for the digits in a tensor."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "digits"
    request.model_spec.signature_name = "serving_default"
    request.inputs["images"].CopyFrom(tensor)
    return request


def requests(images: npt.NDArray[np.uint8], way: str) -> Iterator[Any]:
    """All images, in one of the ways in which callers send them."""
    floats = (images / 255).astype(np.float32)
    if way == "uint8, one by one":
        for image in images:
            yield request_of(tf.make_tensor_proto(image[None]))
        return
    for start in range(0, len(images), _TOGETHER):
        some = floats[start : start + _TOGETHER]
        if way == "float, in hundreds":
            yield request_of(tf.make_tensor_proto(some[..., None]))
        else:  # as callers do who have no TensorFlow but for its messages
            tensor = tf.make_tensor_proto(some.reshape(-1, 784))
            tensor.ClearField("tensor_content")
            tensor.float_val.extend(some.ravel().tolist())
            yield request_of(tensor)


def asked(channel: grpc.Channel, images: npt.NDArray[np.uint8]) -> dict[str, Any]:
    """What the server answers, by each way."""
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    told: dict[str, Any] = {}
    for way in ("uint8, one by one", "float, in hundreds", "float_val, in hundreds"):
        answers = [stub.Predict(each, timeout=60).outputs for each in requests(images, way)]
        told[way] = {
            name: np.concatenate([tf.make_ndarray(each[name]) for each in answers]).tolist()
            for name in ("digit", "probabilities")
        }
    return told


def described(channel: grpc.Channel) -> dict[str, Any]:
    """What the server tells of the model, and how its versions are."""
    metadata_request = get_model_metadata_pb2.GetModelMetadataRequest()
    metadata_request.model_spec.name = "digits"
    metadata_request.metadata_field.append("signature_def")
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    packed = stub.GetModelMetadata(metadata_request, timeout=60).metadata["signature_def"]
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert packed.Unpack(signatures)
    signature = signatures.signature_def["serving_default"]
    status_request = get_model_status_pb2.GetModelStatusRequest()
    status_request.model_spec.name = "digits"
    statuses = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(
        status_request, timeout=60
    )
    return {
        "inputs": {name: tf.as_dtype(info.dtype).name for name, info in signature.inputs.items()},
        "outputs": {name: tf.as_dtype(info.dtype).name for name, info in signature.outputs.items()},
        "states": [
            get_model_status_pb2.ModelVersionStatus.State.Name(each.state)
            for each in statuses.model_version_status
        ],
    }


def main(address: str, images: str, descriptor_set: str) -> None:
    """Asks, and tells."""
    with grpc.insecure_channel(address) as channel:
        told = {
            "answers": asked(channel, np.load(images)),
            "model": described(channel),
            "differences": differences(Path(descriptor_set), PACKAGES, descriptor_pool.Default()),
            "package": version("tensorflow-serving-api"),
        }
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
