"""A supervisor and its workers as processes: who they are, and whose a connection is."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import grpc

from digitserve.v1 import digits_pb2, digits_pb2_grpc, models_pb2, models_pb2_grpc
from support.command import Command
from support.talk import BLANK

# gRPC's own tries again would hide what failed.
_OPTIONS = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]


def workers_of(command: Command) -> list[int]:
    """The processes that the supervisor has started and not buried."""
    done = subprocess.run(
        ["pgrep", "-P", str(command.process.pid)], capture_output=True, text=True, check=False
    )
    return sorted(map(int, done.stdout.split()))


def over(pid: int) -> bool:
    """Whether a process has ended, with its last thread, which closes what was open."""
    with suppress(OSError):
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").split()[2]
        return state == "Z" and len(os.listdir(f"/proc/{pid}/task")) == 1
    return True


class Connection:
    """A connection of its own.

    Attributes:
        worker: the process at its other end.
        channel: gRPC's.
    """

    def __init__(self, command: Command, metadata: Sequence[tuple[str, str]] = ()) -> None:
        workers = workers_of(command)
        before = {pid: _sockets(pid) for pid in workers}
        self._address = command.address
        self._connect()
        limits = models_pb2.GetLimitsRequest()
        self.models.GetLimits(limits, metadata=metadata, wait_for_ready=True)
        gained = [pid for pid in workers_of(command) if _sockets(pid) - before.get(pid, set())]
        self.worker = gained[0] if len(gained) == 1 else 0

    def answering(self, **model: int | str) -> int:
        """Which version answers; waits for a connection, and fails if it ends under a call."""
        request = digits_pb2.PredictRequest(pixels=BLANK, **model)  # type: ignore[arg-type]
        return int(self.digits.Predict(request, wait_for_ready=True).model_version)

    def again(self) -> None:
        """Lets go of a connection that failed, and takes another.

        gRPC would give who asks again in the same millisecond the one that is closing.
        """
        self.channel.close()
        self._connect()

    def _connect(self) -> None:
        self.channel = grpc.insecure_channel(self._address, _OPTIONS)
        self.digits = digits_pb2_grpc.DigitServiceStub(self.channel)
        self.models = models_pb2_grpc.ModelServiceStub(self.channel)

    def close(self) -> None:
        """Lets go of it."""
        self.channel.close()


@contextmanager
def connected(command: Command, *workers: int) -> Iterator[list[Connection]]:
    """A connection to each of these workers; connects until it has them."""
    with ExitStack() as stack:
        found: dict[int, Connection] = {}
        while set(found) < set(workers):
            made = Connection(command)
            stack.callback(made.close)
            if made.worker in workers:
                found.setdefault(made.worker, made)
        yield [found[each] for each in workers]


def replaced(command: Command, before: list[int]) -> int:
    """Waits for the worker that takes the place of one of these."""
    while True:
        for pid in set(workers_of(command)) - set(before):
            with connected(command, pid):
                return pid


def _sockets(pid: int) -> set[str]:
    folder = Path(f"/proc/{pid}/fd")
    found = set()
    with suppress(OSError):
        for name in os.listdir(folder):
            with suppress(OSError):
                found.add(os.readlink(folder / name))
    return {each for each in found if each.startswith("socket:")}
