"""What a Ray cluster of three nodes owes its callers, whatever happens to a node or a replica."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import numpy as np

from digitserve.client import CallError, DigitClient, DigitServeError, Frame
from polyglot.languages import Language
from polyglot.trial import trial
from proving import Shortfall, expect
from scale.hosts import Network, away
from scale.ray_nodes import ROOT, Cluster, cluster, until

Promise: TypeAlias = tuple[str, Callable[[], str]]

_IMAGE = np.zeros((28, 28), np.uint8)
_BUNDLE = ROOT / "server/digitserve/server/bundled/1"
_REPLICAS = 3
# Frames in a second on each stream, and seconds for one call.
_PACE, _CALL_S = 100.0, 1.0
_CALM_S = 1.0
# What the clients' own resuming allows.
_PAUSE_S = 30.0


class Streaming(threading.Thread):
    """A stream of a client that resumes it.

    Attributes:
        longest_s: the longest pause between two answers, so far.
    """

    def __init__(self, addresses: list[str], images: int = 1, pace: float | None = _PACE) -> None:
        super().__init__(daemon=True)
        self._addresses, self._pace = addresses, pace
        self._image = np.repeat(_IMAGE[None], images, 0) if images > 1 else _IMAGE
        self._over = threading.Event()
        self.sent = 0
        self.answered: list[str] = []
        self.longest_s = 0.0
        self.failed: DigitServeError | None = None

    def run(self) -> None:
        """Streams until it is stopped."""
        try:
            with DigitClient(self._addresses) as client:
                before = time.monotonic()
                for outcome in client.stream(self._frames()):
                    now = time.monotonic()
                    self.longest_s, before = max(self.longest_s, now - before), now
                    self.answered.append(outcome.frame_id)
        except DigitServeError as error:
            self.failed = error

    def stop(self) -> None:
        """Waits for the last answer."""
        self._over.set()
        self.join(_PAUSE_S * 2)

    @property
    def wrong(self) -> str:
        """What is not as it should be: each frame answered once, in order; empty: nothing."""
        if self.failed is not None:
            return repr(self.failed)
        if self.answered == [str(number) for number in range(self.sent)]:
            return ""
        doubled = len(self.answered) - len(set(self.answered))
        return f"{self.sent} frames, {len(self.answered)} answers, {doubled} of them doubled"

    def _frames(self) -> Iterator[Frame]:
        while not self._over.is_set():
            self.sent += 1
            yield Frame(self._image, frame_id=str(self.sent - 1))
            if self._pace is not None:
                time.sleep(1 / self._pace)


class Calling(threading.Thread):
    """One call after the other, by a client that knows every ingress.

    Attributes:
        longest_s: the longest time without an answer, so far.
        failed: the calls that were not answered.
    """

    def __init__(self, addresses: list[str]) -> None:
        super().__init__(daemon=True)
        self._addresses = addresses
        self._over = threading.Event()
        self.answered = self.failed = 0
        self.longest_s = 0.0
        self.last: CallError | None = None

    def run(self) -> None:
        """Calls until it is stopped."""
        with DigitClient(self._addresses, timeout=_CALL_S) as client:
            before = time.monotonic()
            while not self._over.is_set():
                try:
                    client.predict(_IMAGE)
                except CallError as error:
                    self.failed, self.last = self.failed + 1, error
                    continue
                now = time.monotonic()
                self.longest_s, before = max(self.longest_s, now - before), now
                self.answered += 1
                time.sleep(0.01)

    def stop(self) -> None:
        """Waits for the last call."""
        self._over.set()
        self.join(_PAUSE_S)


@dataclass
class Callers:
    """Who calls while something happens: from each ingress on, one of either kind."""

    streams: list[Streaming]
    calls: list[Calling]

    def start(self, stack: ExitStack) -> None:
        """Starts them; they stop when the stack unwinds."""
        for each in (*self.streams, *self.calls):
            each.start()
            stack.callback(each.stop)

    def beyond(self, sent: list[int]) -> bool:
        """Whether every stream has answered more frames than these."""
        return all(len(each.answered) > of for each, of in zip(self.streams, sent, strict=True))

    def figure(self) -> str:
        """What they saw."""
        frames = sum(each.sent for each in self.streams)
        return (
            f"{frames} frames on {len(self.streams)} streams, each answered once; longest pause of "
            f"a stream {max(each.longest_s for each in self.streams):.1f} s, of calls "
            f"{max(each.longest_s for each in self.calls):.1f} s; "
            f"{sum(each.failed for each in self.calls)} of "
            f"{sum(each.answered + each.failed for each in self.calls)} calls failed"
        )

    def judged(self, figure: str, most_failed: int | None = None) -> str:
        """Gives the figure, if every frame was answered once.

        Raises:
            Shortfall: if one was not, or if more calls failed than may.
        """
        if wrong := [each.wrong for each in self.streams if each.wrong]:
            raise Shortfall(f"{figure}: {wrong}")
        failed = sum(each.failed for each in self.calls)
        kept = most_failed is None or failed <= most_failed
        last = next((f"; {each.last!r}" for each in self.calls if each.last), "")
        return expect(kept, f"{figure}; {self.figure()}" + ("" if kept else last))


@contextmanager
def calling(ray: Cluster) -> Iterator[Callers]:
    """Callers, while the block runs and a little before and after."""
    starts = range(len(ray.ingresses))
    lists = [ray.ingresses[at:] + ray.ingresses[:at] for at in starts]
    callers = Callers([Streaming(each) for each in lists], [Calling(each) for each in lists])
    with ExitStack() as stack:
        callers.start(stack)
        time.sleep(_CALM_S)
        yield callers
        time.sleep(_CALM_S)


@dataclass
class Run:
    """The promises, on one cluster."""

    ray: Cluster

    def conformance(self) -> str:
        """Python's driver, through the ingress."""
        driver = str(ROOT / "examples/python/driver.py")
        with TemporaryDirectory() as folder:
            here = _Here(folder, {"language": "Python", "run": [sys.executable, driver]})
            return trial(here, self.ray.ingresses[-1], None).passed()

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
            self.ray.deploy({"num_replicas": _REPLICAS}, **_ARGS, max_wait_s=0.6)
            self.ray.settled(_REPLICAS, but=before)
            took_s = time.monotonic() - begun
        return callers.judged(f"{_REPLICAS} replicas replaced in {took_s:.1f} s", 0)

    def cut_node(self) -> str:
        """A node's cable is pulled, under load."""
        gone = self.ray.hosts[-1]
        with calling(self.ray) as callers:
            begun = time.monotonic()
            with away(gone):
                before = [each.sent for each in callers.streams]
                until(lambda: callers.beyond(before), "streams that go on", _PAUSE_S)
                until(lambda: self._without(gone.address), "replicas elsewhere", _PAUSE_S)
                took_s = time.monotonic() - begun
        return callers.judged(f"{_REPLICAS} replicas on two nodes after {took_s:.1f} s")

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


@contextmanager
def ray_promises(network: Network) -> Iterator[list[Promise]]:
    """The promises, in the order in which one cluster keeps them."""
    with cluster(network) as ray:
        run = Run(ray)
        ray.deploy({"num_replicas": _REPLICAS}, **_ARGS)
        ray.settled(_REPLICAS)
        for each in ray.ingresses:
            until(partial(_asked, each), f"the ingress {each}", _PAUSE_S)
        yield [
            ("Ray: the cases of the contract, through its ingress", run.conformance),
            ("Ray: a replica is killed", run.killed_replica),
            ("Ray: a setting is changed", run.upgraded),
            ("Ray: a node is cut off", run.cut_node),
            ("Ray: load comes and goes", run.scaled),
        ]


def _asked(ingress: str) -> bool:
    """Whether an ingress knows of a replica."""
    try:
        with DigitClient(ingress, timeout=_CALL_S) as client:
            client.predict(_IMAGE)
    except CallError:
        return False
    return True
