"""The messages of TensorFlow Serving's API."""

from pathlib import Path

from digitserve.server.adapters.descriptors import Protocol

PROTOCOL = Protocol(Path(__file__).with_name("tensorflow_serving.binpb"), "tensorflow.serving")
