"""A server's processes: started together, weighed together, frozen between turns, ended together.

A peer may be many processes (Ray's are a dozen); all are found through their parents, in `/proc`.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_POLITE_S = 10.0


class Tree:
    """A process that was started here, with all its descendants."""

    def __init__(self, command: Sequence[str], environment: dict[str, str], folder: Path) -> None:
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self.root = subprocess.Popen(
                command,
                env=environment,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the runner, which ends all in order
            )

    def pids(self) -> list[int]:
        """All of them that are alive."""
        children: dict[int, list[int]] = {}
        for pid, fields in _all().items():
            children.setdefault(int(fields[1]), []).append(pid)
        found, todo = [], [self.root.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            todo += children.get(pid, [])
        return found

    def freeze(self) -> None:
        """Stops their clocks: what is not measured costs nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets them run."""
        self._signal(signal.SIGCONT)

    def weigh(self) -> tuple[int, int]:
        """What they hold in memory, in bytes: PSS and RSS.

        RSS counts a page that several of them share several times; PSS shares it out, also to
        processes that are not theirs.
        """
        weights = list(map(_weight, self.pids()))
        return sum(pss for pss, _ in weights), sum(rss for _, rss in weights)

    def cpu_seconds(self) -> float:
        """What they have computed since they started."""
        every = _all()
        own = [every[pid] for pid in self.pids() if pid in every]
        return sum(int(fields[11]) + int(fields[12]) for fields in own) / _TICK

    def last_words(self) -> str:
        """The last line that they logged."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else "no word"

    def end(self) -> None:
        """Asks politely, waits, then kills whatever is left; none is alive after."""
        self.thaw()
        pids = self.pids()
        if self.root.poll() is None:
            self.root.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _POLITE_S
        while self.root.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        descendants = {*pids, *self.pids()} - {self.root.pid}
        while left := descendants & _working():
            for pid in left:
                _send(pid, signal.SIGKILL)
            time.sleep(0.01)
        self.root.kill()
        self.root.wait()

    def _signal(self, number: signal.Signals) -> None:
        for pid in self.pids():
            _send(pid, number)


def _all() -> dict[int, list[str]]:
    """The fields after the name in each `/proc/<pid>/stat`: [0] state, [1] parent, [11..12] CPU."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            stat = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue  # it ended meanwhile
        found[int(path.parent.name)] = stat.rpartition(") ")[2].split()
    return found


def _working() -> set[int]:
    """All processes but the zombies, which can do nothing any more."""
    return {pid for pid, fields in _all().items() if fields[0] != "Z"}


def _weight(pid: int) -> tuple[int, int]:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
    except OSError:
        return 0, 0  # it ended meanwhile
    held = {line.split(":")[0]: line.split()[1] for line in rollup.splitlines()[1:]}
    return int(held["Pss"]) * 1024, int(held["Rss"]) * 1024


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
        os.kill(pid, number)
