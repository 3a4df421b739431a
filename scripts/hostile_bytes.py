"""Bytes that no honest client sends, by the thousand: `fuzz_messages` and `fuzz_connections`.

Each runs a server as a process of its own and gives its figures, or falls short with the first
cases that went wrong; `support.fuzz` makes each of them again from its seed.
"""

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from proving import expect  # noqa: E402
from support import fuzz  # noqa: E402
from support.command import Command, server_command, slow_server  # noqa: E402
from support.http2 import Peer  # noqa: E402

# What the allocator keeps after the first thousand connections, at most.
_MOST_GROWTH = 4 * 1024 * 1024


def fuzz_messages(count: int, seed: int) -> str:
    """Bent messages to every service of the real server: no INTERNAL, no crash, nothing logged."""
    with tempfile.TemporaryFile("w+") as log, server_command(log=log) as command:
        begun = time.monotonic()
        fuzzed = fuzz.fuzz_messages(command.address, count, seed, _healthy)
        seconds = time.monotonic() - begun
        alive, errors = command.process.poll() is None, _errors(log)
    return expect(
        alive and not fuzzed.faults and not errors,
        f"{fuzzed.tried:,} messages in {seconds:.0f} s, statuses: {_counted(fuzzed)}; "
        f"{len(fuzzed.faults)} faults, {len(errors)} errors logged"
        + "".join(f"\n      {each}" for each in [*fuzzed.faults[:5], *errors[:5]]),
    )


def fuzz_connections(count: int, seed: int) -> str:
    """Hostile connections, a healthy call after each: nothing is left of them, nothing logged."""
    with tempfile.TemporaryFile("w+") as log, slow_server(log=log) as command:
        fuzz.fuzz_connections(command.address, min(count, 1000), seed + 1, _healthy)
        before = _held(command)
        begun = time.monotonic()
        fuzzed = fuzz.fuzz_connections(command.address, count, seed, _healthy)
        seconds = time.monotonic() - begun
        after = _held(command)
        errors = _errors(log)
    names = ("resident bytes", "tasks", "descriptors")
    # Fewer is no leak: "before" may still have seen a task of the thousand connections go.
    kept = after[1] <= before[1] and after[2] <= before[2]
    return expect(
        kept and not fuzzed.faults and not errors,
        f"{fuzzed.tried:,} connections in {seconds:.0f} s, as many healthy calls; closed with "
        f"{_counted(fuzzed)} (None: by the client); "
        + ", ".join(
            f"{name} {one:,} -> {two:,}"
            for name, one, two in zip(names, before, after, strict=True)
        )
        + f"; {len(fuzzed.faults)} faults, {len(errors)} errors logged"
        + "".join(f"\n      {each}" for each in [*fuzzed.faults[:5], *errors[:5]]),
        bounds=after[0] - before[0] < _MOST_GROWTH,
    )


def _counted(fuzzed: fuzz.Fuzzed) -> str:
    """How often each status came."""
    return ", ".join(f"{often:,} of {code}" for code, often in fuzzed.statuses.most_common())


def _healthy(peer: Peer) -> None:
    """A call that must go well."""
    assert len(peer.predict(bytes(784))) == 1


def _held(command: Command) -> tuple[int, int, int]:
    """What the process holds, once the last connections are gone."""
    deadline = time.monotonic() + 10
    tasks = fewest = command.told()["tasks"]
    descriptors = command.descriptors()
    while time.monotonic() < deadline and descriptors > _idle(command):
        tasks, descriptors = command.told()["tasks"], command.descriptors()
    return command.resident_bytes(), int(min(tasks, fewest)), descriptors


def _idle(command: Command) -> int:
    """Descriptors without connections: those that are no connected socket."""
    kept = Path(f"/proc/{command.process.pid}/fd").iterdir()
    sockets = [each for each in kept if os.readlink(each).startswith("socket:")]
    return command.descriptors() - len(sockets) + 3  # one listens, two are the loop's own


def _errors(log: IO[str]) -> list[str]:
    """The lines that somebody would have to look into."""
    log.seek(0)
    return [line.rstrip() for line in log if "ERROR" in line or "Traceback" in line]


if __name__ == "__main__":
    print(fuzz_messages(int(sys.argv[1]), int(sys.argv[3])))
    print(fuzz_connections(int(sys.argv[2]), int(sys.argv[3])))
