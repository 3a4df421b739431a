"""The versions of a server as Prometheus metrics, read when they are asked for.

Nothing is counted here: what the registry knows is told in Prometheus's form, so an image costs no
more for it.  Needs the extra `metrics`.
"""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from digitserve.server.addresses import AddressError, host_and_port
from digitserve.server.versions.registry import Registry


def serve_metrics(address: str, registry: Registry) -> tuple[str, Callable[[], None]]:
    """Serves `/metrics` at `host:port`, on a thread.

    Returns:
        The address with the port that was taken, and what stops it.

    Raises:
        AddressError: if it is no address, or cannot be had.
    """
    host, port = host_and_port(address)
    collectors = CollectorRegistry()
    collectors.register(Versions(registry))
    try:
        server, thread = start_http_server(port, host, collectors)
    except OSError as error:
        raise AddressError(f"{address}: {error.strerror or error}") from error

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return f"{host}:{server.server_port}", stop


class Versions(Collector):
    """What a registry knows, as metrics."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        """Tells it all anew."""
        registry = self._registry
        versions = GaugeMetricFamily(
            "digitserve_version", "1 for each version, by its state.", labels=["version", "state"]
        )
        images = CounterMetricFamily(
            "digitserve_version_images", "Images that a version has answered.", labels=["version"]
        )
        for entry, _ in registry.listed():
            number = str(entry.number)
            versions.add_metric([number, entry.state.name.lower()], 1)
            if entry.version is not None:
                images.add_metric([number], entry.version.images)
        yield from (versions, images)
        stable = registry.stable or 0
        yield GaugeMetricFamily("digitserve_stable_version", "Who answers by default.", stable)
        refused = registry.refusals
        yield CounterMetricFamily("digitserve_versions_refused", "By their gates.", refused)
        backwards = registry.rollbacks
        yield CounterMetricFamily("digitserve_rollbacks", "Of versions that broke.", backwards)
        asked = CounterMetricFamily(
            "digitserve_shadow_images", "Images that a shadow was asked.", labels=["version"]
        )
        agreed = CounterMetricFamily(
            "digitserve_shadow_agreed", "Of those, read as they were answered.", labels=["version"]
        )
        for version, (all_, same) in list(registry.shadow.tallies.items()):
            asked.add_metric([str(version)], all_)
            agreed.add_metric([str(version)], same)
        yield from (asked, agreed)
