"""Several workers on one port: what a `kill -9` of one costs, and what callers see of a swap."""

import os
import signal
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc

from digitserve.v1 import models_pb2
from proving import Shortfall, expect
from support.command import Command, server_command
from support.models import place
from support.workers import Connection, replaced, workers_of

# Seconds within which a killed worker's successor is to serve.
_REPLACED_S = 2.0
_CALLERS = 16


class Caller(threading.Thread):
    """Asks on a connection of its own, one call after the other.

    Attributes:
        connection: its connection.
        answered: the calls that were answered, each with when it began and by which version.
        failed: the calls that were not.
    """

    def __init__(self, command: Command) -> None:
        super().__init__()
        self.connection = Connection(command)
        self.answered: list[tuple[float, int]] = []
        self.failed = 0
        self._over = threading.Event()

    def run(self) -> None:
        """Asks until it is stopped."""
        while not self._over.is_set():
            begun = time.monotonic()
            try:
                self.answered.append((begun, self.connection.answering()))
            except grpc.RpcError:
                self.failed += 1
                self.connection.again()

    def stop(self) -> None:
        """Waits for the last call."""
        self._over.set()
        self.join()
        self.connection.close()


@contextmanager
def calling(command: Command) -> Iterator[list[Caller]]:
    """So many callers, while the block runs."""
    with ExitStack() as stack:
        callers = [Caller(command) for _ in range(_CALLERS)]  # before there is any load
        for each in callers:
            each.start()
            stack.callback(each.stop)
        yield callers


def killed_worker(rounds: int = 5) -> str:
    """`kill -9` of one of two workers under load, again and again."""
    failed = most = calls = 0
    slowest_s = 0.0
    for _ in range(rounds):
        with server_command("--workers", "2", "--lame-duck", "0.1") as command:
            before = workers_of(command)
            with calling(command) as callers:
                time.sleep(0.5)
                victim = next(each.connection.worker for each in callers if each.connection.worker)
                begun = time.monotonic()
                os.kill(victim, signal.SIGKILL)
                replaced(command, before)
                slowest_s = max(slowest_s, time.monotonic() - begun)
                time.sleep(0.5)
            failed += sum(each.failed for each in callers)
            most += sum(each.connection.worker == victim for each in callers)
            calls += sum(len(each.answered) for each in callers)
            command.signal(signal.SIGTERM)
            if code := command.wait():
                raise Shortfall(f"the supervisor ended with exit code {code}")
    return expect(
        failed <= most,
        f"kill -9 of 1 of 2 workers under load, {rounds} times: {failed} calls failed of at most "
        f"{most} in flight, of {calls} in all; new worker served after {slowest_s:.2f} s at most",
        bounds=slowest_s < _REPLACED_S,
    )


def promoted_everywhere(rounds: int = 50) -> str:
    """Promotions under load: what begins when one is answered is the new version's, everywhere."""
    promoted: list[tuple[float, int]] = []
    taken: list[float] = []
    with TemporaryDirectory() as folder:
        place(Path(folder), 1, 2)
        serving = ("--models", folder, "--model-control", "--workers", "2", "--lame-duck", "0.1")
        with server_command(*serving) as command, calling(command) as callers:
            operator = Connection(command).models
            late = failed = 0
            for number in range(rounds):
                version = 1 + number % 2
                begun = time.monotonic()
                operator.PromoteVersion(models_pb2.PromoteVersionRequest(version=version))
                promoted.append((time.monotonic(), version))
                taken.append(promoted[-1][0] - begun)
                time.sleep(0.05)
                for each in callers:
                    since = [seen for at, seen in list(each.answered) if at > promoted[-1][0]]
                    late += sum(seen != version for seen in since)
            failed = sum(each.failed for each in callers)
            calls = sum(len(each.answered) for each in callers)
    return expect(
        not late and not failed,
        f"{rounds} promotions under {calls} calls at 2 workers: {late} answers of the old version "
        f"to calls that began after one was answered, {failed} calls failed; one took "
        f"{statistics.median(taken) * 1e3:.1f} ms (median), {max(taken) * 1e3:.0f} ms at most",
    )
