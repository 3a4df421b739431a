"""A Ray cluster, each node on a host of its own, started as people start one.

Every node has its own network, `/tmp/ray` and HAProxy; the first is the head.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from proving import Shortfall
from scale.hosts import Host, Network

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy/ray/serve.yaml"
_BIN = Path(sys.executable).parent
_START_S, _DEPLOY_S = 120.0, 120.0
# What docs/ray.md tells operators to set, with the pauses shortened.
_ENVIRONMENT = {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": "4000",
    "RAY_SERVE_HAPROXY_HEALTH_CHECK_INTER": "1s",
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "3",
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_USAGE_STATS_ENABLED": "0",
    "NO_PROXY": "*",
}
# Folders that nodes would else share, and how often TCP says again what nobody confirms.
_FURNISHED = """
for folder in /tmp/ray /tmp/haproxy-serve; do
    mkdir -p $folder && mount -t tmpfs tmpfs $folder
done
echo 4 > /proc/sys/net/ipv4/tcp_retries2
exec "$@"
"""


@dataclass(frozen=True)
class Replica:
    """One replica, as Ray tells of it."""

    name: str
    state: str
    address: str | None  # none before it has a place
    pid: int | None


@dataclass
class Cluster:
    """Nodes and the application on them."""

    hosts: list[Host]
    _folder: Path
    _settings: dict[str, Any] = field(default_factory=dict)

    @property
    def ingresses(self) -> list[str]:
        """Where each node takes calls in."""
        return [f"{host.address}:9000" for host in self.hosts]

    def deploy(self, deployment: dict[str, Any], **args: Any) -> None:
        """`serve deploy` of the file in deploy/ray/, with other values in these places."""
        told = yaml.safe_load(FILE.read_text("utf-8"))
        (application,) = told["applications"]
        application["args"] |= args
        (deployed,) = application["deployments"]
        if "num_replicas" in deployment:
            deployed.pop("autoscaling_config")
        deployed |= {"ray_actor_options": {"num_cpus": 0.1}} | deployment
        file = self._folder / "serve.yaml"
        file.write_text(yaml.safe_dump(told), "utf-8")
        said = ""

        def taken() -> bool:
            nonlocal said
            done = subprocess.run(
                [_BIN / "serve", "deploy", "-a", self._dashboard, str(file)],
                env=_environment(),
                capture_output=True,
                text=True,
                check=False,
            )
            said = done.stderr[-1000:]
            return not done.returncode

        # On a busy machine Ray may give up its own ingress before it is up.
        until(taken, "serve deploy", _DEPLOY_S, lambda: said)

    def replicas(self) -> list[Replica]:
        """The replicas that there are."""
        application = self._told().get("digitserve", {})
        return [
            Replica(each["replica_id"], each["state"], each.get("node_ip"), each.get("pid"))
            for deployment in application.get("deployments", {}).values()
            for each in deployment["replicas"]
        ]

    def running(self) -> list[Replica]:
        """Those that serve."""
        return [each for each in self.replicas() if each.state == "RUNNING"]

    def settled(self, count: int, but: Iterable[str] = ()) -> None:
        """Waits until so many replicas run, none that is named, and nothing else is there."""

        def settled() -> bool:
            there = self.replicas()
            right = [each for each in there if each.state == "RUNNING" and each.name not in but]
            return len(right) == len(there) == count

        until(settled, f"{count} replicas", _DEPLOY_S, self._why)

    @property
    def _dashboard(self) -> str:
        return f"http://{self.hosts[0].address}:8265"

    def _told(self) -> dict[str, Any]:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{self._dashboard}/api/serve/applications/", timeout=10) as answer:
            told: dict[str, Any] = json.load(answer)["applications"]
        return told

    def _why(self) -> str:
        application = self._told().get("digitserve", {})
        return f"{application.get('message', '')[-1500:]} {self.replicas()}"


@contextmanager
def cluster(network: Network, nodes: int = 3) -> Iterator[Cluster]:
    """So many nodes, up."""
    hosts = [network.host(f"ray-{number + 1}") for number in range(nodes)]
    head, *others = hosts
    with TemporaryDirectory() as folder:
        made = Cluster(hosts, Path(folder))
        with (made._folder / "log").open("w") as log:
            processes = [_node(head, log, "--head", "--dashboard-host", "0.0.0.0")]  # noqa: S104
            until(lambda: _reached(made), "the head", _START_S)
            processes += [_node(each, log, "--address", f"{head.address}:6379") for each in others]
            try:
                yield made
            finally:
                for each in hosts:
                    _end_all(each)
                for process in processes:
                    process.wait()


def until(
    is_so: Callable[[], bool], what: str, most_s: float, why: Callable[[], str] = str
) -> None:
    """Waits for what is wanted.

    Raises:
        Shortfall: if it does not come.
    """
    end = time.monotonic() + most_s
    while not is_so():
        if time.monotonic() > end:
            raise Shortfall(f"{what}: not after {most_s:g} s; {why()}")
        time.sleep(0.1)


def _node(host: Host, log: Any, *arguments: str) -> "subprocess.Popen[str]":
    start = (str(_BIN / "ray"), "start", "--block", "--node-ip-address", host.address)
    small = ("--num-cpus", "2", "--object-store-memory", "80000000")
    return host.start(
        *("unshare", "--mount", "sh", "-c", _FURNISHED, "sh", *start, *small, *arguments),
        env=_environment(),
        log=log,
    )


def _end_all(host: Host) -> None:
    """Ends what runs on a host: a node's own end would first wait for all the others."""
    told = ["ip", "netns", "pids", host.name]
    while pids := subprocess.run(told, capture_output=True, text=True, check=True).stdout.split():
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        time.sleep(0.05)


def _environment() -> dict[str, str]:
    path = os.pathsep.join([str(_BIN), os.environ["PATH"]])
    return os.environ | _ENVIRONMENT | {"PATH": path}


def _reached(made: Cluster) -> bool:
    try:
        made._told()
    except OSError:
        return False
    return True
