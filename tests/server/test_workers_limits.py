"""What is counted over several workers: callers' images and streams, and figures."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_status import rpc_status

from digitserve.v1 import digits_pb2
from support.command import Command
from support.engines import image_of
from support.guarded import Tokens, bearer
from support.scrape import scraped, unused_address
from support.talk import BLANK, frame, reason_of
from support.workers import (
    Connection,
    connected,
    refusal,
    serving_workers,
    watching_workers,
    workers_of,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


# --- limits -------------------------------------------------------------------------------------


def test_images_are_counted_over_all_workers(tmp_path: Path) -> None:
    """To the last one, whichever worker a caller is connected to."""
    tokens = Tokens(tmp_path)
    token = tokens.add("slow", images_per_second=0.001, burst=10)
    with (
        serving_workers("--tokens", str(tokens.path)) as command,
        guests(command, token, 8) as connections,
    ):
        said: list[str] = []

        def ask(connection: Guest) -> None:
            said.extend(connection.predicted() for _ in range(10))

        threads = [threading.Thread(target=ask, args=(each,)) for each in connections]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({each.worker for each in connections}) == 2
        assert (said.count(""), said.count("RATE_EXCEEDED")) == (10, 70)


def test_streams_are_counted_over_all_workers(tmp_path: Path) -> None:
    """One at each is two; those of a worker that is killed are given back."""
    tokens = Tokens(tmp_path)
    token = tokens.add("camera", streams=2)
    with serving_workers("--tokens", str(tokens.path)) as command:
        before = workers_of(command)
        with guests(command, token, 2) as (one, other):
            assert one.opened() == other.opened() == ""
            assert one.opened() == other.opened() == "STREAMS_EXCEEDED"
            os.kill(one.worker, signal.SIGKILL)
            while not set(workers_of(command)) - set(before):
                pass
            while (why := other.opened()) == "STREAMS_EXCEEDED":
                pass
            assert why == ""
            assert other.opened() == "STREAMS_EXCEEDED"


class Guest(Connection):
    """A connection of somebody with a token."""

    def __init__(self, command: Command, token: str) -> None:
        self._bearer = bearer(token)
        self._streams: list[Any] = []
        super().__init__(command, metadata=self._bearer)

    def predicted(self) -> str:
        """Why a call is refused; nothing if it is not."""
        request = digits_pb2.PredictRequest(pixels=BLANK)
        return refusal(self.digits.Predict, request, metadata=self._bearer)

    def opened(self) -> str:
        """Opens a stream, and keeps it; why it is refused, if it is."""
        over_ = threading.Event()

        def frames() -> Iterator[Any]:
            yield frame(image_of(1))
            over_.wait()

        call = self.digits.StreamPredict(frames(), metadata=self._bearer)
        try:
            next(call)
        except grpc.RpcError as error:
            over_.set()
            return reason_of(rpc_status.from_call(error))
        self._streams.append((call, over_))
        return ""

    def close(self) -> None:
        """Ends its streams too."""
        for call, over_ in self._streams:
            call.cancel()
            over_.set()
        super().close()


@contextmanager
def guests(command: Command, token: str, number: int) -> Iterator[list[Guest]]:
    """So many connections, to both workers."""
    with ExitStack() as stack:
        made: list[Guest] = []
        while len(made) < number or len({each.worker for each in made[-number:]}) < 2:
            made.append(Guest(command, token))
            stack.callback(made[-1].close)
        yield made[-number:]


# --- figures ------------------------------------------------------------------------------------


def test_metrics_tell_each_worker(bundles: Path) -> None:
    """With a label `worker`; refusals and rollbacks are the supervisor's."""
    metrics = unused_address()
    with (
        watching_workers(bundles, "--metrics", metrics) as command,
        connected(command, *workers_of(command)) as both,
    ):
        for each, times in zip(both, (1, 2), strict=True):
            for _ in range(times):
                each.answering()
        told = scraped(metrics)
        images = {
            told[f'digitserve_version_images_total{{version="2",worker="{place}"}}']
            for place in (0, 1)
        }
        assert images == {1.0, 2.0}
        assert told['digitserve_versions_refused_total{worker="supervisor"}'] == 0.0
        assert told['digitserve_stable_version{worker="0"}'] == 2.0
