"""The conformance driver for Python: does what the cases say and prints what came of it.

`../conformance/README.md` says what the cases mean and how an outcome is written.
"""

import json
import statistics
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Semaphore
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from digits import Resuming, connect
from digitserve.v1 import digits_pb2, digits_pb2_grpc, models_pb2, models_pb2_grpc

Case = dict[str, Any]
Outcome = dict[str, Any]


class Doing:
    """One case being done.

    Attributes:
        outcome: what came of it so far.
    """

    def __init__(
        self, case: Case, parts: dict[str, bytes], channels: Sequence[grpc.Channel]
    ) -> None:
        self.outcome: Outcome = {"code": 0}
        self._case, self._parts, self._channels = case, parts, channels
        self._timeout = case.get("timeout_ms", 20_000) / 1000
        self._digits = [digits_pb2_grpc.DigitServiceStub(channel) for channel in channels]
        self._models = models_pb2_grpc.ModelServiceStub(channels[0])

    def run(self) -> None:
        """Does it; an error is an outcome as well."""
        do = {
            "Predict": self._predict,
            "StreamPredict": self._stream,
            "Resume": self._resume,
            "GetLimits": self._limits,
            "ListVersions": self._versions,
            "Raw": self._raw,
        }[self._case["call"]]
        start = time.monotonic()
        try:
            do()
        except grpc.RpcError as error:
            self.outcome |= status_of_call(error)
        self.outcome["elapsed_ms"] = round((time.monotonic() - start) * 1000)

    def _pixels(self, names: list[str]) -> bytes:
        return b"".join(self._parts[name] for name in names)

    # --- calls -------------------------------------------------------------------------------

    def _predict(self) -> None:
        (stub, *_) = self._digits
        fields = self._case["request"] | {
            "pixels": self._pixels(self._case["request"].get("pixels", []))
        }
        response = stub.Predict(digits_pb2.PredictRequest(**fields), timeout=self._timeout)
        self.outcome["predicted"] = predicted(response)

    def _raw(self) -> None:
        call: Any = self._channels[0].unary_unary(self._case["request"]["method"])
        call(bytes.fromhex(self._case["request"]["hex"]), timeout=self._timeout)

    def _limits(self) -> None:
        response = self._models.GetLimits(models_pb2.GetLimitsRequest(), timeout=self._timeout)
        self.outcome["limits"] = {
            field.name: list(value) if field.name in {"encodings", "deliveries"} else value
            for field, value in response.ListFields()
        }

    def _versions(self) -> None:
        response = self._models.ListVersions(
            models_pb2.ListVersionsRequest(), timeout=self._timeout
        )
        self.outcome["versions"] = [
            {
                "version": each.version,
                "state": each.state,
                "labels": list(each.labels),
                "accuracy": bits(each.accuracy, ">d") if each.HasField("accuracy") else None,
                "description": each.description,
                "engine": each.engine,
            }
            for each in response.versions
        ]

    def _stream(self) -> None:
        heard = Semaphore(0)
        self.outcome["responses"] = []

        def messages() -> Iterator[digits_pb2.StreamPredictRequest]:
            for item in self._case["send"]:
                time.sleep(item.get("pause_ms", 0) / 1000)
                for _ in range(item.get("times", 1)):
                    yield self._message(item)
                    if self._case.get("lockstep") and "frame" in item:
                        heard.acquire()

        (stub, *_) = self._digits
        for each in stub.StreamPredict(messages(), timeout=self._timeout):
            self.outcome["responses"].append(response_of(each))
            heard.release()

    def _message(self, item: dict[str, Any]) -> digits_pb2.StreamPredictRequest:
        message = digits_pb2.StreamPredictRequest()
        if "options" in item:
            fields = dict(item["options"])
            age_ms = fields.pop("max_age_ms", None)
            message.options.CopyFrom(digits_pb2.StreamOptions(**fields))
            if age_ms is not None:
                message.options.max_age.FromMilliseconds(age_ms)
        if "frame" in item:
            fields = item["frame"] | {"pixels": self._pixels(item["frame"].get("pixels", []))}
            message.frame.CopyFrom(digits_pb2.Frame(**fields))
        return message

    def _resume(self) -> None:
        resuming = Resuming(self._digits, self._case["in_flight"], self._timeout)
        each = [self._pixels(names) for names in self._case["pixels"]]
        frames = (
            digits_pb2.Frame(frame_id=f"frame-{at}", pixels=each[at % len(each)])
            for at in range(self._case["frames"])
        )
        self.outcome["outcomes"] = []
        for response in resuming.outcomes(frames):
            self.outcome["outcomes"].append(response_of(response))
            del self.outcome["outcomes"][-1]["sequence"]
        self.outcome |= {"streams": resuming.streams, "notices": resuming.notices}


# --- how an outcome is written -------------------------------------------------------------------


def bits(value: float, kind: str = ">f") -> str:
    """The bits of a float, in hexadecimal."""
    return struct.pack(kind, value).hex()


def predicted(response: digits_pb2.PredictResponse) -> Outcome:
    """What the model said."""
    return {
        "model_version": response.model_version,
        "predictions": [
            {
                "digit": each.digit,
                "confidence": bits(each.confidence),
                "probabilities": [bits(value) for value in each.probabilities],
                "rejection": bits(each.rejection) if each.HasField("rejection") else None,
            }
            for each in response.predictions
        ],
    }


def response_of(response: digits_pb2.StreamPredictResponse) -> Outcome:
    """What became of a frame, or a notice."""
    said: Outcome = {"sequence": response.sequence, "frame_id": response.frame_id}
    match response.WhichOneof("outcome"):
        case "predicted":
            return said | {"predicted": predicted(response.predicted)}
        case "failed":
            return said | {"failed": status_of(response.failed)}
        case "skipped":
            return said | {"skipped": response.skipped.reason}
        case _:
            notice = response.notice
            return said | {"notice": {"reason": notice.reason, "accepted": notice.accepted}}


def status_of_call(error: grpc.RpcError) -> Outcome:
    """How a call ended."""
    status = rpc_status.from_call(error)
    if status is not None:
        return status_of(status)
    return {"code": error.code().value[0], "message": error.details()}


def status_of(status: status_pb2.Status) -> Outcome:
    """A status with what its details say."""
    said: Outcome = {"code": status.code, "message": status.message}
    for detail in status.details:
        said |= detail_of(detail)
    return said


def detail_of(detail: Any) -> Outcome:
    """One of the `google.rpc` details."""
    known: list[Message] = [
        error_details_pb2.ErrorInfo(),
        error_details_pb2.BadRequest(),
        error_details_pb2.ResourceInfo(),
        error_details_pb2.RetryInfo(),
    ]
    match next((each for each in known if detail.Unpack(each)), None):
        case error_details_pb2.ErrorInfo() as info:
            return {"reason": info.reason, "domain": info.domain}
        case error_details_pb2.BadRequest() as request:
            return {
                "violations": [
                    {"field": each.field, "description": each.description}
                    for each in request.field_violations
                ]
            }
        case error_details_pb2.ResourceInfo() as info:
            return {"resource_type": info.resource_type, "resource_name": info.resource_name}
        case error_details_pb2.RetryInfo() as info:
            return {"retry_ms": info.retry_delay.ToMilliseconds()}
        case _:
            return {}


# --- the command ---------------------------------------------------------------------------------


def run(cases_file: str, servers_file: str) -> Outcome:
    """Does every case."""
    file = json.loads(Path(cases_file).read_text(encoding="utf-8"))
    servers = json.loads(Path(servers_file).read_text(encoding="utf-8"))
    parts = {
        name: bytes.fromhex(part["hex"]) * part.get("times", 1)
        for name, part in file["pixels"].items()
    }
    outcomes = {}
    for case in file["cases"]:
        where = [servers[name] for name in case["servers"]]
        with ExitStack() as open_:
            channels = [
                open_.enter_context(connect(each["address"], each.get("ca"), case.get("token")))
                for each in where
            ]
            doing = Doing(case, parts, channels)
            doing.run()
        outcomes[case["name"]] = doing.outcome
    return outcomes


def latency(address: str, calls: str) -> Outcome:
    """Times Predicts, one after the other."""
    times = []
    with connect(address) as channel:
        stub = digits_pb2_grpc.DigitServiceStub(channel)
        request = digits_pb2.PredictRequest(pixels=bytes(at % 256 for at in range(784)))
        for _ in range(200 + int(calls)):
            start = time.perf_counter()
            stub.Predict(request, timeout=5)
            times.append((time.perf_counter() - start) * 1e6)
    times = times[200:]
    p99 = statistics.quantiles(times, n=100)[98]
    return {"calls": len(times), "p50_us": round(statistics.median(times)), "p99_us": round(p99)}


if __name__ == "__main__":
    print(json.dumps({"run": run, "latency": latency}[sys.argv[1]](*sys.argv[2:])))
