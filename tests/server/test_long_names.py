"""Errors that repeat what a caller named: however long that was, any client takes them."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from hypothesis import given
from hypothesis import strategies as st

from digitserve.server import errors
from digitserve.server.errors import DomainError
from digitserve.server.statuses import status_of
from digitserve.server.texts import abridged
from digitserve.server.transport.http2.heads import status_block
from digitserve.v1 import digits_pb2, digits_pb2_grpc
from support.open_inference import Asking, infer_request
from support.serving import Serving
from support.talk import BLANK
from support.tensorflow_serving import request_of

# What gRPC's clients take of trailers, by default.
_TAKEN = 8192
_LONG = 100_000
# Of one byte or four, and such as are written out, where they are told, as several others.
LETTERS = ["x", "é", "\U0001f600", "\0", "%"]


def _predict(channel: grpc.Channel, name: str) -> Any:
    request = digits_pb2.PredictRequest(pixels=BLANK, label=name)
    return digits_pb2_grpc.DigitServiceStub(channel).Predict(request)


def _stream(channel: grpc.Channel, name: str) -> Any:
    request = digits_pb2.StreamPredictRequest(options=digits_pb2.StreamOptions(label=name))
    return next(digits_pb2_grpc.DigitServiceStub(channel).StreamPredict(iter([request])))


def _check(channel: grpc.Channel, name: str) -> Any:
    return health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=name))


def _infer(channel: grpc.Channel, name: str) -> Any:
    return Asking(channel).infer(infer_request(BLANK, model_version=name))


def _metadata(channel: grpc.Channel, name: str) -> Any:
    request = request_of("GetModelMetadata")
    request.model_spec.name = "digits"
    request.metadata_field.append(name)
    path = "/tensorflow.serving.PredictionService/GetModelMetadata"
    return channel.unary_unary(path)(request.SerializeToString())


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize(
    ("ask", "code"),
    [
        (_predict, "NOT_FOUND"),
        (_stream, "NOT_FOUND"),
        (_check, "NOT_FOUND"),
        (_infer, "NOT_FOUND"),
        (_metadata, "INVALID_ARGUMENT"),
    ],
)
def test_a_name_of_any_length_is_refused_in_few_words(
    serving: Serving, ask: Callable[[grpc.Channel, str], Any], code: str, letter: str
) -> None:
    """With its own code, and not with the one that a client has for trailers that are too long."""
    with serving.channel() as channel, pytest.raises(grpc.RpcError) as raised:
        ask(channel, letter * _LONG)
    assert raised.value.code().name == code
    trailers: Any = raised.value.trailing_metadata()
    assert sum(len(name) + len(value) + 32 for name, value in trailers) < _TAKEN


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize(
    "made",
    [
        lambda long: errors.BadField(long, "ANY", long),
        lambda long: errors.BadForeignField(long, "ANY", long),
        lambda long: errors.UnknownModel("label", long, [long]),
        lambda long: errors.UnknownForeignModel("label", long, [], long),
        errors.ForeignUnsupported,
        errors.UnknownService,
        lambda long: errors.VersionRefused(1, long),
        lambda long: errors.RateExceeded(long, 1.0, 1.0),
        lambda long: errors.StreamsExceeded(long, 1),
    ],
)
def test_whatever_an_error_says_its_status_is_short(
    made: Callable[[str], DomainError], letter: str
) -> None:
    """The last resort, for what was not cut where the error was made."""
    assert len(status_block(status_of(made(letter * _LONG)))) < _TAKEN


@given(st.text(), st.integers(0, 40))
def test_a_text_is_cut_between_its_letters(text: str, most: int) -> None:
    """What is short enough stays as it is."""
    said = abridged(text, most)
    if len(text.encode(errors="replace")) <= most:
        assert said == text
    else:
        assert said.endswith("...")
        assert text.startswith(said[:-3])
        assert len(said.encode()) <= most + 3
