"""Asks over HTTP/1.1, and takes gRPC-Web apart."""

from dataclasses import replace
from http.client import HTTPConnection, HTTPResponse
from typing import Any

from digitserve.v1 import digits_pb2
from support.serving import TEST_CONFIG, Serving

PREDICT = "/digitserve.v1.DigitService/Predict"
STREAM = "/digitserve.v1.DigitService/StreamPredict"
HTTP = replace(TEST_CONFIG, http="127.0.0.1:0")
ORIGIN = "https://page.example"

Frames = list[tuple[int, bytes]]


def framed(message: Any) -> bytes:
    """A message as gRPC frames it."""
    data = message if isinstance(message, bytes) else message.SerializeToString()
    return b"\0" + len(data).to_bytes(4, "big") + data


def frames(body: bytes) -> Frames:
    """The frames of a body, each with its flag."""
    found = []
    while body:
        size = int.from_bytes(body[1:5], "big")
        found.append((body[0], body[5 : 5 + size]))
        body = body[5 + size :]
    return found


def trailers(found: Frames) -> dict[str, str]:
    """What the last frame says."""
    flag, block = found[-1]
    assert flag == 0x80
    pairs = (line.split(":", 1) for line in block.decode().splitlines())
    return {name: value.strip() for name, value in pairs}


def asked(
    up: Serving, path: str, body: bytes, kind: str = "application/grpc-web+proto", **headers: str
) -> tuple[HTTPResponse, bytes]:
    """Posts a body; gives the answer and its body."""
    connection = HTTPConnection(up.server.http, timeout=60)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("POST", path, body, {"content-type": kind} | named)
    response = connection.getresponse()
    said = response.read()
    connection.close()
    return response, said


def predicted(found: Frames) -> list[int]:
    """The digits of every answer but the last frame."""
    answers = [digits_pb2.PredictResponse.FromString(data) for _, data in found[:-1]]
    return [each.digit for answer in answers for each in answer.predictions]
