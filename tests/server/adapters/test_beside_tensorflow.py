"""Adapters beside the packages whose names theirs are: TensorFlow in the server's own process."""

import importlib
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import descriptor_pool

from digitserve.server.adapters.open_inference.messages import NAME, message
from digitserve.server.adapters.tensorflow_serving import messages
from digitserve.v1 import digits_pb2
from foreign_messages import differences
from support.serving import TEST_CONFIG, Serving, serving
from support.tensorflow_serving import request_of, stub_of

tensorflow: Any = pytest.importorskip(
    "tensorflow", reason="the engine `tensorflow` needs the extra trainer"
)

MESSAGES = Path(messages.__file__).with_name("tensorflow_serving.binpb")
NOISE = np.random.default_rng(5).integers(0, 256, (4, 28, 28), np.uint8)


def by_tensorflow_serving(up: Serving) -> list[int]:
    """Asks with what TensorFlow itself makes of an array, and reads what it can read."""
    request, made = request_of("Predict"), tensorflow.make_tensor_proto(NOISE)
    request.inputs["images"].ParseFromString(made.SerializeToString())
    with stub_of(up) as stub:
        answered = stub.Predict(request).outputs["digit"]
    return list(tensorflow.make_ndarray(type(made).FromString(answered.SerializeToString())))


def by_open_inference(up: Serving) -> list[int]:
    """Asks with raw bytes, and reads them."""
    request = message("ModelInferRequest")(model_name="digits", outputs=[{"name": "digit"}])
    request.inputs.add(name="pixels", datatype="UINT8", shape=NOISE.shape)
    request.raw_input_contents.append(NOISE.tobytes())
    with up.channel() as channel:
        call: Any = channel.unary_unary(f"/{NAME}/ModelInfer")
        answered = message("ModelInferResponse").FromString(call(request.SerializeToString()))
    return list(np.frombuffer(answered.raw_output_contents[0], "<i8"))


# Each adapter, and a call by it.
ADAPTERS: dict[str, Callable[[Serving], list[int]]] = {
    "open_inference": by_open_inference,
    "tensorflow_serving": by_tensorflow_serving,
}


def test_the_tensorflow_engine_runs_with_every_adapter_on() -> None:
    """Names do not clash: each adapter answers what digitserve.v1 answers."""
    on = dict.fromkeys(ADAPTERS, True)
    with serving(replace(TEST_CONFIG, engine="tensorflow", **on)) as up:  # type: ignore[arg-type]
        with up.digits() as stub:
            own = stub.Predict(digits_pb2.PredictRequest(pixels=NOISE.tobytes(), count=len(NOISE)))
        expected = [each.digit for each in own.predictions]
        for ask in ADAPTERS.values():
            assert ask(up) == expected
    assert "tensorflow" in sys.modules


def test_tensorflows_messages_are_as_tensorflow_has_them() -> None:
    """Each name, number and type that is written down here."""
    for name in ("framework.tensor", "protobuf.meta_graph", "protobuf.error_codes"):
        importlib.import_module(f"tensorflow.core.{name}_pb2")
    packages = ("tensorflow", "tensorflow.error")
    assert differences(MESSAGES, packages, descriptor_pool.Default()) == []
