"""The server's command as a process of its own, as a user starts it."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO


@dataclass(frozen=True)
class Command:
    """A running `digitserve-server`."""

    process: subprocess.Popen[str]
    address: str

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal."""
        self.process.send_signal(number)

    def told(self) -> dict[str, float]:
        """What a `support.slow_server` tells of itself."""
        assert self.process.stdout is not None
        self.signal(signal.SIGUSR1)
        told: dict[str, float] = json.loads(self.process.stdout.readline())
        return told

    def resident_bytes(self) -> int:
        """What the process holds in memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        (kilobytes,) = re.findall(r"VmRSS:\s+(\d+) kB", status)
        return int(kilobytes) * 1024

    def cpu_seconds(self) -> float:
        """Processor time of the process and its workers so far, and the kernel's for them."""
        own = self.process.pid
        workers = Path(f"/proc/{own}/task/{own}/children").read_text(encoding="utf-8").split()
        ticks = 0
        for pid in (own, *workers):
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").split()
            ticks += int(fields[13]) + int(fields[14])
        return ticks / os.sysconf("SC_CLK_TCK")

    def descriptors(self) -> int:
        """How many files and sockets the process has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def wait(self) -> int:
        """Waits for its end; returns the exit code."""
        return self.process.wait(timeout=60)


def server_command(
    *arguments: str, log: IO[str] | int | None = None, **variables: str
) -> AbstractContextManager[Command]:
    """Starts the command, by default on a free port, and waits until it serves."""
    if "--address" not in arguments:
        arguments = ("--address", "127.0.0.1:0", *arguments)
    return started("digitserve.server", *arguments, log=log, **variables)


def slow_server(
    *arguments: str, log: IO[str] | int | None = None
) -> AbstractContextManager[Command]:
    """Starts a `support.slow_server` and waits until it serves."""
    return started("support.slow_server", *arguments, log=log)


@contextmanager
def started(
    module: str, *arguments: str, log: IO[str] | int | None = None, **variables: str
) -> Iterator[Command]:
    """Starts a module that says `serving on ADDRESS`, and waits until it has.

    Its log goes to `log`, or to where the caller's goes; `variables` are added to the environment.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        | variables,
    )
    assert process.stdout is not None
    try:
        said = process.stdout.readline()
        assert said.startswith("serving on "), said
        yield Command(process, said.removeprefix("serving on ").split(",")[0].strip())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def failed_command(*arguments: str) -> tuple[int, str]:
    """Runs the command to its end; returns the exit code and what it said on stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "digitserve.server", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stderr
