"""A server with one worker, and what the kernel and `/metrics` count of it anyway.

So nothing of the server is changed to see what a load makes it do:

    sleeps    times that the process had nothing to do, and was woken again
    reads     of sockets; what one brings is answered with one write
    turns     calls of the network

The server tells its metrics, as one at work does.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from benchmarks import subjects
from benchmarks.http2 import Connection, Exchange
from support.command import Command, server_command
from support.scrape import scraped, unused_address

_YARDSTICK_S = 0.2

#: Puts a load on a server; gives how many answers it got.
Run: TypeAlias = Callable[[], int]


@dataclass(frozen=True, slots=True)
class Counts:
    """What a load made a worker do.

    Attributes:
        cpu_s: of the server.
        starved_s: that it could have run and another process did.
        sleeps: how often it had nothing to do.
        reads: of sockets.
        turns: of its network.
    """

    cpu_s: float
    starved_s: float
    sleeps: int
    reads: int
    turns: int


@dataclass(frozen=True, slots=True)
class Server:
    """A server with one worker, and what is asked of it."""

    command: Command
    metrics: str
    version: int
    call: list[Exchange]
    frame: list[Exchange]

    def cost_of(self, run: Run) -> tuple[int, Counts]:
        """How many answers a load got, and what it made the server do."""
        turns = self._turns()  # scraping costs time as well, and is kept out of it
        before = self._counts()
        messages = run()
        after = self._counts()
        return messages, Counts(
            after.cpu_s - before.cpu_s,
            after.starved_s - before.starved_s,
            after.sleeps - before.sleeps,
            after.reads - before.reads,
            self._turns() - turns,
        )

    def _counts(self) -> Counts:
        process = Path(f"/proc/{self.command.process.pid}")
        reads = re.search(r"syscr: (\d+)", (process / "io").read_text(encoding="utf-8"))
        task = process / "task" / process.name / "status"
        sleeps = re.search(r"\nvoluntary\S+\s+(\d+)", task.read_text(encoding="utf-8"))
        assert reads is not None
        assert sleeps is not None
        used_s, starved_s = self.command.cpu_seconds(), starved_seconds(self.command)
        return Counts(used_s, starved_s, int(sleeps[1]), int(reads[1]), 0)

    def _turns(self) -> int:
        figures = scraped(self.metrics)
        return int(sum(figures[each] for each in figures if "batch_images_count" in each))


@contextmanager
def server(version: int, *flags: str) -> Iterator[Server]:
    """Starts one with a bundled network, and checks its answers against the engine's."""
    folder = subjects.ROOT / "server/digitserve/server/bundled" / str(version)
    metrics = unused_address()
    with server_command("--models", str(folder), "--metrics", metrics, *flags) as command:
        pictures = subjects.images()
        subjects.check(command.address, pictures, folder / "model.tflite")
        asked = subjects.subject_of(command, "ours", pictures).questions
        yield Server(command, metrics, version, asked.one, asked.frame)


def starved_seconds(command: Command) -> float:
    """For how long the process, or its busiest worker, could have run while others did."""
    own = command.process.pid
    children = Path(f"/proc/{own}/task/{own}/children").read_text(encoding="utf-8").split()
    waited = (
        Path(f"/proc/{pid}/schedstat").read_text(encoding="utf-8") for pid in (own, *children)
    )
    return max(int(each.split()[1]) for each in waited) / 1e9


def yardstick(up: Server) -> float:
    """What a call costs at this moment, in microseconds: the machine's mood."""
    before = up.command.cpu_seconds()
    with Connection(up.command.address) as connection:
        answers = connection.unary("Predict", up.call, 16, _YARDSTICK_S).answers
    return (up.command.cpu_seconds() - before) / answers * 1e6
