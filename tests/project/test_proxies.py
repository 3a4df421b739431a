"""The proxies' files agree with the server, its errors and each other; nothing runs here."""

import base64
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.rpc import status_pb2
from grpc_health.v1 import health_pb2

from digitserve.client.errors import CallError, ResourceExhausted
from digitserve.server.config import Config
from digitserve.server.services.health import READINESS

DEPLOY = Path(__file__).parents[2] / "deploy"
HAPROXY = (DEPLOY / "haproxy" / "haproxy.cfg").read_text(encoding="utf-8")
ENVOY_TEXT = (DEPLOY / "envoy" / "envoy.yaml").read_text(encoding="utf-8")
ENVOY: Any = yaml.safe_load(ENVOY_TEXT)["static_resources"]
CALLS, STREAMS = ENVOY["clusters"][:2]
ROUTES = ENVOY["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]["route_config"][
    "virtual_hosts"
][0]["routes"]
LASTING = {
    "/digitserve.v1.DigitService/StreamPredict",
    "/inference.GRPCInferenceService/ModelStreamInfer",
    "/grpc.health.v1.Health/Watch",
}


def seconds(said: str) -> float:
    """A duration, as Envoy writes it."""
    return float(said.removesuffix("s"))


@pytest.mark.parametrize("text", [ENVOY_TEXT, HAPROXY], ids=["envoy", "haproxy"])
def test_a_refusal_by_a_proxy_is_one_that_clients_know(text: str) -> None:
    """RATE_EXCEEDED, with the same pause in RetryInfo and in the pushback."""
    (details,) = re.findall(r"grpc-status-details-bin(?:, value:)? ([\w+/]+)", text)
    (pushback,) = re.findall(r"grpc-retry-pushback-ms(?:, value:)? \"?(\d+)", text)
    status = status_pb2.Status.FromString(base64.b64decode(details + "=="))
    error = CallError.from_status(status)
    assert isinstance(error, ResourceExhausted)
    assert (error.reason, error.retry_after) == ("RATE_EXCEEDED", int(pushback) / 1000)
    # gRPC drops details whose message is not the call's: Envoy has one, and HAProxy gives it too.
    assert error.message == "local_rate_limited"
    assert "grpc-message local_rate_limited" in HAPROXY


def test_haproxys_bytes_ask_for_readiness() -> None:
    """The last frame is the request; what is waited for is the answer SERVING."""
    sent = [bytes.fromhex(each) for each in re.findall(r"tcp-check send-binary (\w+)", HAPROXY)]
    preface, *frames = sent
    assert preface == b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    assert all(int.from_bytes(each[:3], "big") == len(each) - 9 for each in frames)
    assert b"/grpc.health.v1.Health/Check" in frames[1]
    request = health_pb2.HealthCheckRequest(service=READINESS).SerializeToString()
    assert frames[2][9:] == _message(request)
    status = health_pb2.HealthCheckResponse.ServingStatus
    answers = {
        name: _message(health_pb2.HealthCheckResponse(status=value).SerializeToString()).hex()
        for name, value in status.items()
    }
    known, serving = re.findall(r"tcp-check expect .*binary (\S+)", HAPROXY)
    assert serving == answers["SERVING"]
    assert {name for name, each in answers.items() if re.search(known, each)} == {
        "SERVING",
        "NOT_SERVING",
    }


def _message(data: bytes) -> bytes:
    return b"\0" + len(data).to_bytes(4, "big") + data


def test_streams_are_balanced_by_themselves_and_cut_by_nobody() -> None:
    """The calls that last go to a cluster of their own, and have no time of Envoy's."""
    lasting = {each["match"]["path"]: each["route"] for each in ROUTES if _lasts(each)}
    assert lasting.keys() == LASTING
    assert all((each["timeout"], each["idle_timeout"]) == ("0s", "0s") for each in lasting.values())
    assert all(path in HAPROXY for path in LASTING)
    assert all(
        each["route"]["max_stream_duration"] == {"grpc_timeout_header_max": "0s"} for each in ROUTES
    )
    longest_s = Config().stream_max_age_s * 1.1
    for side in ("client", "server"):
        (minutes,) = re.findall(rf"timeout {side} (\d+)m", HAPROXY)
        assert int(minutes) * 60 > longest_s


def _lasts(route: Any) -> bool:
    return bool(route["route"]["cluster"] == STREAMS["name"])


def test_both_clusters_are_the_same_servers() -> None:
    """Only the name differs."""
    assert {key for key in CALLS if CALLS[key] != STREAMS.get(key)} == {"name"}
    assert CALLS.keys() == STREAMS.keys()


def test_nothing_is_asked_twice_that_told_its_caller_to_wait() -> None:
    """RESOURCE_EXHAUSTED is passed on; only Predict is repeated when its connection broke."""
    for each in ROUTES:
        asked_again = each["route"]["retry_policy"]["retry_on"].split(",")
        assert "resource-exhausted" not in asked_again
        predict = each["match"].get("path") == "/digitserve.v1.DigitService/Predict"
        assert ("reset" in asked_again) == predict


def test_a_drain_is_seen_before_calls_are_refused() -> None:
    """Within the lame-duck time."""
    (health,) = CALLS["health_checks"]
    assert seconds(health["interval"]) + seconds(health["timeout"]) < Config().lame_duck_s
    (interval,) = re.findall(r"default-server inter (\d+)s", HAPROXY)
    (timeout,) = re.findall(r"timeout check (\d+)s", HAPROXY)
    assert int(interval) + int(timeout) < Config().lame_duck_s


def test_readers_who_stand_still_cannot_fill_a_connection_to_a_server() -> None:
    """Its window holds that of every stream that it may carry."""
    (options,) = CALLS["typed_extension_protocol_options"].values()
    told = options["explicit_http_config"]["http2_protocol_options"]
    streams = told["max_concurrent_streams"] * told["initial_stream_window_size"]
    assert told["initial_connection_window_size"] >= streams
