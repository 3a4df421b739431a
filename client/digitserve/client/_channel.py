"""The channels of a client: what gRPC has to be told, and which of several servers is asked."""

import json
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from grpc_health.v1.health_pb2_grpc import HealthStub

from digitserve.client._access import Access, Metadata, is_local
from digitserve.client.errors import CallError
from digitserve.v1.digits_pb2_grpc import DigitServiceStub
from digitserve.v1.models_pb2_grpc import ModelServiceStub

DEFAULT_ADDRESS = "127.0.0.1:50051"
DEFAULT_TIMEOUT = 10.0

# A message of the most images that a server takes, as float32, and something around it.
_MAX_MESSAGE_BYTES = 4 * 1024 * 1024

_STREAM_PREDICT = "/digitserve.v1.DigitService/StreamPredict"

_SERVICE_CONFIG: dict[str, Any] = {
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

_OPTIONS: dict[str, int | str] = {
    "grpc.service_config": json.dumps(_SERVICE_CONFIG),
    # By default gRPC does not retry what is longer than 256 KiB.
    "grpc.per_rpc_retry_buffer_size": _MAX_MESSAGE_BYTES,
    "grpc.max_send_message_length": _MAX_MESSAGE_BYTES,
    "grpc.max_receive_message_length": _MAX_MESSAGE_BYTES,
    # By default a client may wait two minutes for a server that is back already.
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 2_000,
    # Despite its name how long connecting may take; who is refused tries again as soon as before.
    # Time for a slow link, TLS and two lost SYNs; and a silent host is left within half of
    # `DEFAULT_TIMEOUT`, so that the same call reaches the next address (with gRPC's 20 s it fails).
    "grpc.min_reconnect_backoff_ms": 5_000,
    # Tells a dead peer from an idle one.
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 10_000,
    "grpc.http2.max_pings_without_data": 0,
    # Clients of one process do not share a connection, and hence a worker.
    "grpc.use_local_subchannel_pool": 1,
}

# Each call goes to the next of all the addresses that the name has and whose server says that it
# serves; one that drains says so, and is left before it closes.
_ROUND_ROBIN = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "healthCheckConfig": {"serviceName": "digitserve.v1.DigitService"},
}
_ROUND_ROBIN_OPTIONS: dict[str, int | str] = {
    "grpc.service_config": json.dumps(_SERVICE_CONFIG | _ROUND_ROBIN),
    # By default half a minute: where all servers are replaced one by one, too late for the last.
    "grpc.dns_min_time_between_resolutions_ms": 2_000,
}
# How many servers a name is taken to have, by who asks them in turn; gRPC does not tell.
_MANY = 3


@dataclass(frozen=True, slots=True, eq=False)
class Server:
    """One address: the channel to it, and what can be asked there."""

    channel: Any
    digits: Any
    models: Any
    health: Any
    streams: Any  # StreamPredict in bytes, for who writes and reads them by hand


class Servers:
    """The addresses of one client, and which of them is asked now.

    Attributes:
        all: a channel for each.
        count: how many servers can be asked one after the other.
    """

    def __init__(
        self, addresses: Sequence[str], access: Access, framework: Any, *, round_robin: bool
    ) -> None:
        """Makes a channel for each address; they connect when they are used.

        Args:
            addresses: one or several.
            access: how to be let in.
            framework: `grpc` or `grpc.aio`.
            round_robin: whether each is the name of many servers, all of which are asked in turn.
        """
        options = _OPTIONS | (_ROUND_ROBIN_OPTIONS if round_robin else {})
        self.all = [_connect(address, access, framework, options) for address in addresses]
        self.count = len(self.all) * (_MANY if round_robin else 1)
        self._at = 0
        self._closed = False
        self._ends: set[weakref.WeakMethod[Callable[[CallError], None]]] = set()

    @property
    def now(self) -> Server:
        """The one to ask.

        Raises:
            CallError: CANCELLED, if the client is closed.
        """
        if self._closed:
            raise _client_closed()
        return self.all[self._at]

    def leave(self, server: Server) -> None:
        """Goes on to the next, unless somebody else has already."""
        if server is self.all[self._at]:
            self._at = (self._at + 1) % len(self.all)

    def when_closed(self, end: Callable[[CallError], None]) -> None:
        """Has this method of a stream told of it, if there still is that stream."""
        self._ends.add(weakref.WeakMethod(end, self._ends.discard))

    def close(self) -> None:
        """Lets nobody ask any more, and ends the streams; the channels are left to the client."""
        self._closed = True  # first: a stream that is not told finds out when it connects
        for each in list(self._ends):
            if (end := each()) is not None:
                end(_client_closed())


def _client_closed() -> CallError:
    return CallError(grpc.StatusCode.CANCELLED, "the client is closed")


def names_of(addresses: str | Sequence[str]) -> list[str]:
    """One address or several, as several.

    Raises:
        ValueError: if there is none.
    """
    names = [addresses] if isinstance(addresses, str) else list(addresses)
    if not names:
        raise ValueError("expected at least one address, got none")
    return names


def _connect(address: str, access: Access, framework: Any, options: dict[str, int | str]) -> Server:
    # What is sent to this machine is not to leave it by way of a proxy.
    told = list((options | ({"grpc.enable_http_proxy": 0} if is_local(address) else {})).items())
    channel = (
        framework.insecure_channel(address, told)
        if access.credentials is None
        else framework.secure_channel(address, access.credentials, told)
    )
    digits, streams = DigitServiceStub(channel), channel.stream_stream(_STREAM_PREDICT)
    models, health = ModelServiceStub(channel), HealthStub(channel)
    if (metadata := access.metadata) is not None:
        streams = _telling(streams, metadata)
        for stub in (digits, models, health):
            for name, method in vars(stub).items():
                setattr(stub, name, _telling(method, metadata))
    return Server(channel, digits, models, health, streams)


def _telling(method: Any, metadata: Callable[[], Metadata]) -> Any:
    """The method, which is told the metadata of that moment at each call."""

    def told(*arguments: Any, **options: Any) -> Any:
        return method(*arguments, metadata=metadata(), **options)

    return told
