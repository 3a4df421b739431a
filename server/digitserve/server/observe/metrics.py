"""Snapshots as Prometheus metrics, served when they are asked for.  Needs the extra `metrics`.

    process ─▶ snapshot ─┐
    process ─▶ snapshot ─┴▶ the same families, each with a label `worker` ─▶ /metrics

A server that is one process has no such label.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TypeAlias

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from digitserve.server.addresses import AddressError, host_and_port
from digitserve.server.observe.family import Family, Sample, Snapshot

# Each worker's name with what it tells; None: there is just one.
Gather: TypeAlias = Callable[[], Iterable[tuple[str | None, Snapshot]]]


def serve_metrics(address: str, gather: Gather) -> tuple[str, Callable[[], None]]:
    """Serves `/metrics` at `host:port`, on a thread, which `gather` is called from.

    Returns:
        The address with the port that was taken, and what stops it.

    Raises:
        AddressError: if it is no address, or cannot be had.
    """
    host, port = host_and_port(address)
    collectors = CollectorRegistry()
    collectors.register(Gathered(gather))
    try:
        server, thread = start_http_server(port, host, collectors)
    except OSError as error:
        raise AddressError(f"{address}: {error.strerror or error}") from error

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return f"{host}:{server.server_port}", stop


class Gathered(Collector):
    """What one or more processes tell, as one set of metrics."""

    def __init__(self, gather: Gather) -> None:
        self._gather = gather

    def describe(self) -> Iterable[Metric]:
        """Nothing: to be registered it need not gather."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Tells it all anew."""
        families: dict[str, Family] = {}
        for worker, snapshot in self._gather():
            for family in snapshot:
                told = family if worker is None else _of_worker(worker, family)
                known = families.setdefault(family["name"], told)
                if known is not told:
                    known["samples"] += told["samples"]
        yield from map(_metric, families.values())


def _of_worker(worker: str, family: Family) -> Family:
    samples: list[Sample] = [([worker, *labels], value) for labels, value in family["samples"]]
    return family | {"labels": ["worker", *family["labels"]], "samples": samples}


def _metric(family: Family) -> Metric:
    name, meaning, labels = family["name"], family["help"], family["labels"]
    if family["kind"] == "histogram":
        return _histogram(family, name, meaning, labels)
    kind = CounterMetricFamily if family["kind"] == "counter" else GaugeMetricFamily
    metric = kind(name, meaning, labels=labels)
    for values, value in family["samples"]:
        assert not isinstance(value, dict)
        metric.add_metric(values, value)
    return metric


def _histogram(family: Family, name: str, meaning: str, labels: Sequence[str]) -> Metric:
    metric = HistogramMetricFamily(name, meaning, labels=labels)
    bounds = [*map(floatToGoString, family["bounds"]), "+Inf"]
    for values, value in family["samples"]:
        assert isinstance(value, dict)
        counts = map(float, accumulate(value["counts"]))
        metric.add_metric(values, list(zip(bounds, counts, strict=True)), value["sum"])
    return metric
