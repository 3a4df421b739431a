"""The protocol's messages."""

from pathlib import Path

from digitserve.server.adapters.descriptors import Protocol

NAME = "inference.GRPCInferenceService"

PROTOCOL = Protocol(Path(__file__).with_name("open_inference.binpb"), "inference")
request, message = PROTOCOL.request, PROTOCOL.message
