"""A supervisor and its workers as processes: started, found, loaded, and whose a connection is."""

import os
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_status import rpc_status

from digitserve.v1 import digits_pb2, digits_pb2_grpc, models_pb2, models_pb2_grpc
from support.command import Command, server_command
from support.talk import BLANK, reason_of

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


def serving_workers(*arguments: str) -> Any:
    """Two workers, without a lame duck."""
    return server_command("--workers", "2", "--lame-duck", "0", *arguments)


@contextmanager
def watching_workers(folder: Path, *arguments: str) -> Iterator[Command]:
    """Two workers that serve this folder, whose versions callers may change."""
    with serving_workers("--models", str(folder), "--model-control", *arguments) as command:
        yield command


def refusal(call: Any, request: Any, **how: Any) -> str:
    """Why a call is refused; nothing if it is not."""
    try:
        call(request, **how)
    except grpc.RpcError as error:
        return reason_of(rpc_status.from_call(error))
    return ""


def meddle(monkeypatch: pytest.MonkeyPatch, folder: Path, code: str) -> None:
    """Has the processes that are started from now on run this first."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))


class Load:
    """A caller on a connection of its own, one call after the other, and what it saw.

    Attributes:
        round: a number that the test sets.
        seen: the versions that answered, each with the round in which it was asked.
        failures: of the calls that failed.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.seen: list[tuple[int, int]] = []
        self.failures: list[grpc.RpcError] = []
        self.round = 0
        self._more, self._over = threading.Condition(), threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.is_set():
            asked = self.round
            try:
                self.seen.append((asked, self.connection.answering()))
            except grpc.RpcError as error:
                self.failures.append(error)
                self.connection.again()
            with self._more:
                self._more.notify_all()

    def grown(self) -> None:
        """Waits until it saw more."""
        before = len(self.seen)
        with self._more:
            assert self._more.wait_for(lambda: len(self.seen) > before + 3, timeout=60)

    def stop(self) -> None:
        """Waits for the last call."""
        self._over.set()
        self._thread.join()


@contextmanager
def loaded(command: Command, connections: int) -> Iterator[list[Load]]:
    """So many callers while the block runs."""
    with ExitStack() as stack:
        made = [Connection(command) for _ in range(connections)]
        for each in made:
            stack.callback(each.close)
        loads = [Load(each) for each in made]
        for load in loads:
            stack.callback(load.stop)
        for load in loads:
            load.grown()
        yield loads
