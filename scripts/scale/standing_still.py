"""Streams that send without end and read nothing, in a process of their own, to be killed.

`python -m scale.standing_still ADDRESS CA-FILE STREAMS`.
"""

import itertools
import sys
import threading
from pathlib import Path
from typing import Any

import grpc

from digitserve.v1 import digits_pb2, digits_pb2_grpc

# gRPC itself would read megabytes ahead of who reads nothing.
_READS_NO_FURTHER = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 16384))
_IMAGES = 64


def main() -> None:
    """Opens them, and stands still."""
    address, authority, streams = sys.argv[1:]
    credentials = grpc.ssl_channel_credentials(Path(authority).read_bytes())
    channel = grpc.secure_channel(address, credentials, _READS_NO_FURTHER)
    stub: Any = digits_pb2_grpc.DigitServiceStub(channel)
    # Many images, so that their answers fill every window within seconds.
    frame = digits_pb2.Frame(pixels=bytes(_IMAGES * 784), count=_IMAGES)
    message = digits_pb2.StreamPredictRequest(frame=frame)
    calls = [stub.StreamPredict(itertools.repeat(message)) for _ in range(int(streams))]
    print(f"{len(calls)} streams", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
