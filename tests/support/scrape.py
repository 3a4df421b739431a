"""What a Prometheus server reads at `/metrics`."""

import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeAlias

from prometheus_client.parser import text_string_to_metric_families

from digitserve.server.config import Config
from digitserve.server.observe.family import Snapshot
from digitserve.server.observe.metrics import serve_metrics
from support.serving import TEST_CONFIG, Serving, serving

# A sample's name and labels, as they are written, with its value.
Figures: TypeAlias = dict[str, float]

DIGITS = "digitserve.v1.DigitService"
OBSERVED = replace(TEST_CONFIG, metrics="127.0.0.1:0")


def unused_address() -> str:
    """One for metrics that nobody has at the moment: a command does not print which it took."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return "{}:{}".format(*free.getsockname())


def scraped(address: str) -> Figures:
    """All samples that there are."""
    with urllib.request.urlopen(f"http://{address}/metrics") as response:
        text = response.read().decode()
    return {
        _written(sample.name, sample.labels): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@contextmanager
def telling(up: Serving) -> Iterator[str]:
    """Serves what a server tells, at another address than its own."""
    address, stop = serve_metrics("127.0.0.1:0", lambda: [(None, up.run(_snapshot(up)))])
    try:
        yield address
    finally:
        stop()


@contextmanager
def observed_server(config: Config = OBSERVED, **options: object) -> Iterator[tuple[Serving, str]]:
    """A server that is watched, and where it tells so."""
    with serving(config, **options) as up, telling(up) as address:  # type: ignore[arg-type]
        yield up, address


async def _snapshot(up: Serving) -> Snapshot:
    return up.server.snapshot()


def _written(name: str, labels: dict[str, str]) -> str:
    if not labels:
        return name
    return name + "{" + ",".join(f'{key}="{labels[key]}"' for key in sorted(labels)) + "}"
