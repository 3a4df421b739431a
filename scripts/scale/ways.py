"""The ways to several servers: through a proxy, or to each of them by its own address."""

import json
from dataclasses import dataclass
from typing import Protocol

import grpc

from digitserve.client import DigitClient, Tls
from scale.proxy_kinds import NAME, PORT, Keys

# As docs/round-robin.md has it.
_ROUND_ROBIN = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "healthCheckConfig": {"serviceName": "digitserve.v1.DigitService"},
}
# Retries by gRPC itself would hide what happened.
_ALONE = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0))


class Way(Protocol):
    """A way to several servers."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def cut_off_s(self) -> float:
        """Seconds within which a server that fell silent is left."""

    def client(self) -> DigitClient:
        """A client of its own."""

    def channel(self) -> grpc.Channel:
        """A channel of its own, which asks nothing twice."""


def alone(address: str, tls: Tls, *options: tuple[str, int | str]) -> grpc.Channel:
    """A channel that shares nothing with others, and asks nothing twice."""
    return grpc.secure_channel(address, tls.credentials(), [*_ALONE, *options])


@dataclass(frozen=True)
class RoundRobin:
    """No proxy: the client asks each address of the name in turn."""

    keys: Keys
    name: str = "round_robin"
    # What was sent and not acknowledged for 10 s tells; until then calls go there as well.
    cut_off_s: float = 11.0

    @property
    def _tls(self) -> Tls:
        """As a proxy shows itself to the servers."""
        shown = self.keys.folder / "tls" / "servers"
        return Tls(ca=self.keys.inside.path, cert=shown / "tls.crt", key=shown / "tls.key")

    def client(self) -> DigitClient:
        """A client of its own."""
        return DigitClient(f"dns:///{NAME}:{PORT}", tls=self._tls, round_robin=True)

    def channel(self) -> grpc.Channel:
        """A channel of its own, which asks nothing twice."""
        told = (
            ("grpc.service_config", json.dumps(_ROUND_ROBIN)),
            ("grpc.dns_min_time_between_resolutions_ms", 2_000),
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 10_000),
        )
        return alone(f"dns:///{NAME}:{PORT}", self._tls, *told)
