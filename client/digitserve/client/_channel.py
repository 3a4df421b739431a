"""The channels of a client: what gRPC has to be told, and which of several servers is asked."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import grpc
from grpc_health.v1.health_pb2_grpc import HealthStub

from digitserve.v1.digits_pb2_grpc import DigitServiceStub
from digitserve.v1.models_pb2_grpc import ModelServiceStub

DEFAULT_ADDRESS = "127.0.0.1:50051"
DEFAULT_TIMEOUT = 10.0

# A message of the most images that a server takes, as float32, and something around it.
_MAX_MESSAGE_BYTES = 4 * 1024 * 1024

# The metadata by which a server tells who is its canary's.
_KEY = "digitserve-key"
_STREAM_PREDICT = "/digitserve.v1.DigitService/StreamPredict"

_SERVICE_CONFIG = {
    "methodConfig": [
        {
            "name": [{"service": "digitserve.v1.DigitService", "method": "Predict"}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}

OPTIONS: list[tuple[str, int | str]] = [
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    # By default gRPC does not retry what is longer than 256 KiB.
    ("grpc.per_rpc_retry_buffer_size", _MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    # By default a client may wait two minutes for a server that is back already.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # Tells a dead peer from an idle one.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    # Clients of one process do not share a connection, and hence a worker.
    ("grpc.use_local_subchannel_pool", 1),
]


@dataclass(frozen=True, slots=True, eq=False)
class Server:
    """One address: the channel to it, and what can be asked there."""

    channel: Any
    digits: Any
    models: Any
    health: Any
    streams: Any  # StreamPredict in bytes, for who writes and reads them by hand


class Servers:
    """The addresses of one client, and which of them is asked now."""

    def __init__(
        self,
        addresses: str | Sequence[str],
        credentials: grpc.ChannelCredentials | None,
        key: str | None,
        framework: Any,
    ) -> None:
        """Makes a channel for each address; they connect when they are used.

        Args:
            addresses: one or several.
            credentials: for TLS; None: plain text.
            key: what the caller calls itself; None: nothing.
            framework: `grpc` or `grpc.aio`.
        """
        names = [addresses] if isinstance(addresses, str) else list(addresses)
        if not names:
            raise ValueError("expected at least one address, got none")
        self.all = [self._connect(name, credentials, key, framework) for name in names]
        self._at = 0

    @property
    def now(self) -> Server:
        """The one to ask."""
        return self.all[self._at]

    def leave(self, server: Server) -> None:
        """Goes on to the next, unless somebody else has already."""
        if server is self.now:
            self._at = (self._at + 1) % len(self.all)

    @staticmethod
    def _connect(
        name: str, credentials: grpc.ChannelCredentials | None, key: str | None, framework: Any
    ) -> Server:
        channel = (
            framework.insecure_channel(name, OPTIONS)
            if credentials is None
            else framework.secure_channel(name, credentials, OPTIONS)
        )
        digits, streams = DigitServiceStub(channel), channel.stream_stream(_STREAM_PREDICT)
        if key is not None:
            named = ((_KEY, key),)
            digits.Predict = partial(digits.Predict, metadata=named)
            digits.StreamPredict = partial(digits.StreamPredict, metadata=named)
            streams = partial(streams, metadata=named)
        return Server(channel, digits, ModelServiceStub(channel), HealthStub(channel), streams)
