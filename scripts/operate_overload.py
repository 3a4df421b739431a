"""More asked than a server can do: what it still does, what it says, and who notices."""

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from digitserve.client import DigitClient, Health
from proving import expect
from support.command import Command, server_command, slow_server

_HERE = Path(__file__).parent
_RATE = 2500  # calls a second, for an engine of 500
_DEADLINE_S = 1.0
_HEALTH_S = 0.1
# `max_wait_s`: what the server lets a call wait.
_QUEUE_S = 0.5


def senders(address: str, seconds: float, *arguments: str) -> "subprocess.Popen[str]":
    """Starts `overload_senders.py`."""
    process = subprocess.Popen(
        [sys.executable, _HERE / "overload_senders.py", address, str(seconds), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


def told(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """What came of the senders."""
    said: dict[str, Any] = json.loads(process.communicate(timeout=120)[0])
    return said


@dataclass
class Watched:
    """What a server looked like from outside while the block ran.

    Attributes:
        health: seconds that each health check took; infinite for one that was not SERVING.
        resident: bytes, twice a second.
    """

    health: list[float] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)

    @property
    def moved(self) -> float:
        """By which share its memory moved in the second half."""
        half = self.resident[len(self.resident) // 2 :]
        return (max(half) - min(half)) / min(half)


@contextmanager
def watched(command: Command) -> Iterator[Watched]:
    """Asks for health ten times a second while the block runs."""
    seen, over = Watched(), threading.Event()

    def watch(client: DigitClient) -> None:
        while not over.wait(0.1):
            start = time.monotonic()
            serving = client.health(timeout=5) is Health.SERVING
            seen.health.append(time.monotonic() - start if serving else float("inf"))
            if len(seen.health) % 5 == 1:
                seen.resident.append(command.resident_bytes())

    with DigitClient(command.address) as client:
        client.health()
        watching = threading.Thread(target=watch, args=(client,))
        watching.start()
        try:
            yield seen
        finally:
            over.set()
            watching.join()


def client_backs_off(short: bool) -> str:
    """Twice as many callers as the queue holds, all of whom ask again when they are told to."""
    callers, seconds = 600, 8 if short else 30
    with slow_server("--image-ms", "2") as command:
        peak = told(senders(command.address, 4, "--callers", "32"))["within"] / 4
        before = command.told()["refused"]
        came = told(senders(command.address, seconds, "--clients", str(callers)))
        refused = command.told()["refused"] - before
    goodput = came["within"] / seconds
    # Each caller that is refused waits for a good part of the queue at the least.
    bound = callers * seconds / (_QUEUE_S / 2)
    return expect(
        refused > 0 and not came["other"],
        f"{callers} callers of the Python client: {goodput:.0f}/s answered, {goodput / peak:.0%} "
        f"of the closed loop's {peak:.0f}/s, bound 90%; {refused:.0f} refusals, bound "
        f"{bound:.0f}; {came['refused']} calls gave up, others {came['other'] or 'none'}",
        bounds=refused <= bound and goodput >= 0.9 * peak,
    )


def highest_rate(short: bool) -> str:
    """The real network: the highest rate whose p99 is at most ten times the idle one; reported."""
    seconds = 3 if short else 15
    with server_command(log=subprocess.DEVNULL) as command:

        def p99(rate: float) -> tuple[float, str]:
            came = told(senders(command.address, seconds, "--rate", str(rate)))
            done = len(came["answered"])
            figure = statistics.quantiles(came["answered"], n=100)[98]
            return (
                figure if done == came["sent"] else float("inf"),
                f"at {rate:.0f}/s p99 {figure * 1e3:.1f} ms, {came['sent'] - done} not answered in "
                f"time, a start at most {came['late'] * 1e3:.0f} ms late",
            )

        p99(500)  # warm
        idle, _ = p99(200)
        rate, best, at = 1000.0, 200.0, idle
        while (now := p99(rate))[0] <= 10 * idle:
            best, at = rate, now[0]
            rate *= 1.25
    return (
        f"{best:.0f} calls/s with p99 {at * 1e3:.1f} ms, idle {idle * 1e3:.1f} ms; {now[1]}; one "
        f"process of senders beside the server"
    )


def overload(short: bool) -> str:
    """Five times what an engine of 2 ms an image can do, with deadlines of 1 s."""
    seconds = 10 if short else 60
    with slow_server("--image-ms", "2") as command:
        told(senders(command.address, 2, "--callers", "16"))  # warm
        closed = told(senders(command.address, 5, "--callers", "32"))
        peak = closed["within"] / 5
        with watched(command) as seen:
            came = told(senders(command.address, seconds, "--rate", str(_RATE)))
    goodput = came["within"] / seconds
    p99 = statistics.quantiles(came["answered"], n=100)[98]
    longest = max(seen.health)
    return expect(
        came["told"] == came["read"] >= 1000,
        f"{came['sent'] / seconds:.0f} calls/s, {_DEADLINE_S:g} s each: {goodput:.0f}/s answered "
        f"in time, {goodput / peak:.0%} of the closed loop's {peak:.0f}/s, bound 90%; p99 "
        f"{p99 * 1e3:.0f} ms, bound {_QUEUE_S * 1e3:.0f}; {came['refused']} refused, "
        f"{came['told']} of {came['read']} read with code, RetryInfo and pushback; others "
        f"{came['other'] or 'none'}; health at most {longest * 1e3:.0f} ms, bound "
        f"{_HEALTH_S * 1e3:.0f}; memory moved {seen.moved:.1%}; a start at most "
        f"{came['late'] * 1e3:.0f} ms late",
        bounds=goodput >= 0.9 * peak
        and p99 <= _QUEUE_S
        and longest <= _HEALTH_S
        and seen.moved <= 0.05,
    )
