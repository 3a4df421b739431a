"""What a Ray cluster of three nodes owes its callers, whatever happens to a node or a replica."""

import itertools
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from digitserve.client import CallError, DigitClient
from polyglot.languages import Language
from polyglot.trial import second_chance, trial
from proving import Promise, Shortfall, expect
from scale.callers import IMAGE, PAUSE_S, Callers, Calling, Streaming
from scale.hosts import Network, away
from scale.ray_nodes import FILE, ROOT, Cluster, cluster, until

_BUNDLE = ROOT / "server/digitserve/server/bundled/1"
_REPLICAS = 3
_CALM_S = 1.0
# Seconds for a call that is to be asked elsewhere if nobody answers.
_HASTY_S = 1.0
# Seconds within which an ingress leaves a replica that fell silent: two of its checks, a second
# apart and with a second's patience each, and the call that found that out.
_LEFT_S = 5.0


@contextmanager
def calling(ray: Cluster, **patience: float) -> Iterator[Callers]:
    """Callers, while the block runs and a little before and after."""
    starts = range(len(ray.ingresses))
    lists = [ray.ingresses[at:] + ray.ingresses[:at] for at in starts]
    callers = Callers(
        [Streaming(each) for each in lists], [Calling(each, **patience) for each in lists]
    )
    with ExitStack() as stack:
        callers.start(stack)
        time.sleep(_CALM_S)
        yield callers
        time.sleep(_CALM_S)


@dataclass
class Run:
    """The promises, on one cluster, in the order in which it keeps them."""

    network: Network
    stack: ExitStack
    # What an upgrade changes; another one each time.
    waits: Iterator[float] = field(default_factory=lambda: itertools.count(0.6, 0.1))

    @cached_property
    def ray(self) -> Cluster:
        """The cluster, up and serving; made when it is first asked for."""
        ray = self.stack.enter_context(cluster(self.network))
        ray.deploy({"num_replicas": _REPLICAS}, **_ARGS)
        ray.settled(_REPLICAS)
        for each in ray.ingresses:
            until(partial(_asked, each), f"the ingress {each}", PAUSE_S)
        return ray

    def conformance(self) -> str:
        """Python's driver, through the ingress; what failed, once more: some cases are timed."""
        driver = str(ROOT / "examples/python/driver.py")
        with TemporaryDirectory() as folder:
            here = _Here(folder, {"language": "Python", "run": [sys.executable, driver]})
            tried = first = trial(here, self.ray.ingresses[-1], None)
            if first.faults:
                tried = second_chance(first, trial(here, self.ray.ingresses[-1], None))
        return tried.passed()

    def killed_replica(self) -> str:
        """`kill -9` of a replica's process, under load."""
        victim = self.ray.running()[0]
        with calling(self.ray) as callers:
            begun = time.monotonic()
            assert victim.pid is not None
            os.kill(victim.pid, signal.SIGKILL)
            self.ray.settled(_REPLICAS, but={victim.name})
            took_s = time.monotonic() - begun
        # One call of each caller may have been in it, and one more before the ingress knows.
        most = 2 * len(callers.calls)
        return callers.judged(f"replaced after {took_s:.1f} s", most)

    def upgraded(self) -> str:
        """A setting is changed: every replica is replaced, one after the other."""
        before = {each.name for each in self.ray.running()}
        with calling(self.ray) as callers:
            begun = time.monotonic()
            self.ray.deploy({"num_replicas": _REPLICAS}, **_ARGS, max_wait_s=next(self.waits))
            self.ray.settled(_REPLICAS, but=before)
            took_s = time.monotonic() - begun
        return callers.judged(f"{_REPLICAS} replicas replaced in {took_s:.1f} s", 0)

    def cut_node(self) -> str:
        """A node's cable is pulled, under load."""
        gone = self.ray.hosts[-1]
        with calling(self.ray, timeout_s=_HASTY_S) as callers:
            begun = time.monotonic()
            with away(gone):
                before = [each.sent for each in callers.streams]
                until(lambda: callers.beyond(before), "streams that go on", PAUSE_S)
                until(lambda: self._without(gone.address), "replicas elsewhere", PAUSE_S)
                took_s = time.monotonic() - begun
        longest_s = max(each.longest_s for each in callers.calls[:-1])
        figure = (
            f"calls by the other ingresses wait {longest_s:.1f} s at most (bound {_LEFT_S:g} s), "
            f"{_REPLICAS} replicas on two nodes after {took_s:.1f} s"
        )
        return expect(True, callers.judged(figure), bounds=longest_s <= _LEFT_S)

    def scaled(self) -> str:
        """Load comes and goes, and replicas with it."""
        self.ray.deploy({"autoscaling_config": _QUICK}, **_ARGS)
        self.ray.settled(1)
        begun = time.monotonic()
        addresses = self.ray.ingresses[:1]
        load = Callers([Streaming(addresses, images=200, pace=None) for _ in range(6)], [])
        callers = Callers([Streaming(addresses)], [Calling(addresses)])
        with ExitStack() as calm:
            callers.start(calm)
            with ExitStack() as busy:
                load.start(busy)
                self.ray.settled(3)
                up_s = time.monotonic() - begun
            begun = time.monotonic()
            self.ray.settled(1)
            down_s = time.monotonic() - begun
        callers.streams += load.streams
        return callers.judged(f"1 to 3 replicas in {up_s:.1f} s, to 1 in {down_s:.1f} s", 0)

    def _without(self, address: str) -> bool:
        there = [each for each in self.ray.running() if each.address != address]
        return len(there) == _REPLICAS


_ARGS: dict[str, Any] = {"models": str(_BUNDLE), "lame_duck_s": 2, "grace_s": 10}
# What deploy/ray/serve.yaml says, with shorter looks back.
_QUICK: dict[str, Any] = {
    "min_replicas": 1,
    "max_replicas": 3,
    "metrics_interval_s": 0.5,
    "look_back_period_s": 3,
    "upscale_delay_s": 1,
    "downscale_delay_s": 3,
    "policy": {
        "policy_function": "digitserve.server.transport.ray.autoscaling:ByLoad",
        # Images alone: what is left of two cores says nothing.
        "policy_kwargs": {"images_per_replica": 256, "busy_per_replica": 10},
    },
}


@dataclass(frozen=True)
class _Here(Language):
    """A driver that needs no build: its folder is for the files that it is given."""

    @property
    def place(self) -> Path:
        """Where it runs."""
        return Path(self.folder)


def promises(network: Network, stack: ExitStack) -> list[Promise]:
    """All of them: about two minutes; the stack ends the cluster."""
    run = Run(network, stack)
    return [
        ("Ray: its own schema takes the committed files", accepted),
        ("Ray: every conformance case that asks one server", run.conformance),
        ("Ray: kill -9 of a replica", run.killed_replica),
        ("Ray: a rolling upgrade", run.upgraded),
        ("Ray: a host cut off", run.cut_node),
        ("Ray: from 1 to 3 replicas and back", run.scaled),
    ]


def accepted() -> str:
    """By Ray's own schema, which knows every field; KubeRay hands the same on as one text."""
    from ray.serve.schema import ServeDeploySchema  # noqa: PLC0415 - seconds, for one promise

    service = yaml.safe_load((FILE.parent / "rayservice.yaml").read_text("utf-8"))
    for text in (FILE.read_text("utf-8"), service["spec"]["serveConfigV2"]):
        try:
            ServeDeploySchema.model_validate(yaml.safe_load(text))
        except ValueError as error:
            raise Shortfall(str(error)) from error
    return f"ray {version('ray')}: serve.yaml, and serveConfigV2 of rayservice.yaml"


def _asked(ingress: str) -> bool:
    """Whether an ingress knows of a replica."""
    try:
        with DigitClient(ingress, timeout=_HASTY_S) as client:
            client.predict(IMAGE)
    except CallError:
        return False
    return True
