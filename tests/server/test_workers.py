"""`--workers`: several processes on one port that are as one server, whatever happens to them."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from digitserve.client import DigitClient
from digitserve.server.config import Config
from digitserve.server.sources import read_config
from support.command import Command, failed_command, server_command
from support.engines import image_of
from support.talk import BLANK, frame, reason_of
from support.workers import (
    connected,
    loaded,
    meddle,
    over,
    replaced,
    serving_workers,
    watching_workers,
    workers_of,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


# --- a port -------------------------------------------------------------------------------------


def test_one_worker_is_no_other_server() -> None:
    """As without the flag: nobody is started."""
    with server_command("--workers", "1") as command:
        assert workers_of(command) == []


def test_workers_share_a_port() -> None:
    """Both are connected to, both answer, and each signal ends them all cleanly."""
    for number in (signal.SIGTERM, signal.SIGINT):
        with serving_workers() as command:
            workers = workers_of(command)
            with connected(command, *workers) as connections:
                assert [each.answering() for each in connections] == [3, 3]
            command.signal(number)
            assert command.wait() == 0
            assert all(map(over, workers))


@pytest.mark.parametrize("more", [(), ("--workers", "2")])
def test_a_second_server_is_refused(more: tuple[str, ...]) -> None:
    """With workers or without, as if there were one process at the port."""
    with serving_workers() as command:
        code, said = failed_command("--address", command.address, *more)
    assert code == 3
    assert said.startswith(f"digitserve-server: {command.address} is taken")
    assert said.count("\n") == 1


def test_the_port_is_kept_while_nobody_listens() -> None:
    """The supervisor holds it, without being given connections."""
    with serving_workers() as command:
        workers = workers_of(command)
        os.kill(command.process.pid, signal.SIGSTOP)  # it is not to replace them
        for each in workers:
            os.kill(each, signal.SIGKILL)
        while not all(map(over, workers)):
            pass
        host, port = command.address.split(":")
        with socket.socket() as caller:
            assert caller.connect_ex((host, int(port))) != 0
        code, _ = failed_command("--address", command.address)
        assert code == 3


def test_a_port_is_taken_again_at_once() -> None:
    """What one server leaves behind does not keep the next one out, with workers or without."""
    with server_command() as command, DigitClient(command.address) as client:
        client.predict(BLANK)
        address = command.address
        command.signal(signal.SIGINT)
        command.wait()
    for workers in ("2", "2", "1", "2"):
        with (
            server_command("--workers", workers, "--address", address) as command,
            DigitClient(address) as client,
        ):
            client.predict(BLANK)
            command.signal(signal.SIGINT)
            assert command.wait() == 0


def test_a_unix_socket_is_refused() -> None:
    """It belongs to one process; one line says so."""
    code, said = failed_command("--workers", "2", "--address", "unix:/tmp/digits.sock")
    assert (code, said.count("\n")) == (2, 1)
    assert "expected host:port alone for 2 workers" in said


def test_a_model_that_cannot_be_served_is_refused(tmp_path: Path) -> None:
    """As by one process: exit code 4, one line, nobody left."""
    code, said = failed_command(
        "--workers", "2", "--address", "127.0.0.1:0", "--models", str(tmp_path)
    )
    assert code == 4
    assert said.splitlines()[-1].startswith(f"digitserve-server: {tmp_path}: expected")


def test_auto_is_a_worker_on_each_core(tmp_path: Path) -> None:
    """That this process may use."""
    from support.configuration import command  # noqa: PLC0415 - its name is taken here

    done = command("config", "--workers", "auto")
    (row,) = [line.split() for line in done.output.splitlines() if line.startswith("workers")]
    assert row == ["workers", str(len(os.sched_getaffinity(0))), "--workers"]
    (tmp_path / "server.toml").write_text("workers = 'auto'", encoding="utf-8")
    said = read_config({}, str(tmp_path / "server.toml"), {})
    assert said.config.workers == len(os.sched_getaffinity(0))
    assert Config().workers == 1


# --- signals and deaths -------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_the_start_ends_all(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anybody serves, while a worker begins: exit code 0, and nobody is left."""
    mark = tmp_path / "begun"
    meddle(
        monkeypatch,
        tmp_path / "code",
        "import pathlib, sys, time\n"
        "if 'digitserve.server.workers' in sys.orig_argv:\n"
        f"    pathlib.Path({str(mark)!r}).touch()\n"
        "    time.sleep(600)\n",
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "digitserve.server", "--workers", "2", "--address", "127.0.0.1:0"],
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    while not mark.exists():
        assert process.poll() is None
    workers = workers_of(Command(process, ""))
    process.send_signal(number)
    assert process.wait(timeout=60) == 0
    assert all(map(over, workers))


def test_a_second_signal_stops_at_once() -> None:
    """All of them; the exit code says that something may have been cut."""
    with server_command("--workers", "2", "--lame-duck", "600") as command:
        workers = workers_of(command)
        with DigitClient(command.address) as client:
            command.signal(signal.SIGTERM)
            while client.health().name != "NOT_SERVING":
                pass
        command.signal(signal.SIGTERM)
        assert command.wait() == 1
        assert all(map(over, workers))


def test_a_drain_finishes_what_every_worker_accepted() -> None:
    """Streams at both are told, refuse in band what is sent after that, and end; exit code 0."""
    with serving_workers() as command:
        workers = workers_of(command)
        with connected(command, *workers) as connections:
            more = threading.Event()

            def frames() -> Iterator[Any]:
                yield frame(image_of(1))
                more.wait(timeout=60)
                yield frame(image_of(2))

            calls = [each.digits.StreamPredict(frames(), timeout=60) for each in connections]
            for call in calls:
                assert next(call).HasField("predicted")
            command.signal(signal.SIGTERM)
            for call in calls:
                assert next(call).HasField("notice")
            more.set()
            for call in calls:
                (reply,) = call
                assert reason_of(reply.failed) == "DRAINING"
                assert call.code() is grpc.StatusCode.OK
        assert command.wait() == 0


def test_workers_end_without_their_supervisor() -> None:
    """`kill -9` of it: they see the channel close, finish, and go."""
    with serving_workers() as command:
        workers = workers_of(command)
        command.signal(signal.SIGKILL)
        command.wait()
        while not all(map(over, workers)):
            pass


def test_a_killed_worker_fails_its_own_calls_alone() -> None:
    """`kill -9` under load: at most those in flight on it; another takes its place."""
    with serving_workers() as command:
        before = workers_of(command)
        with loaded(command, 8) as loads:
            victim = next(load.connection.worker for load in loads if load.connection.worker)
            os.kill(victim, signal.SIGKILL)
            replaced(command, before)
            for load in loads:
                load.grown()
        assert victim not in workers_of(command)
        for load in loads:
            assert len(load.failures) <= (load.connection.worker == victim), load.failures
        command.signal(signal.SIGTERM)
        assert command.wait() == 0


def test_a_worker_that_cannot_be_replaced_ends_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """After a few tries: the others drain, exit code 5, one line."""
    mark = tmp_path / "broken"
    meddle(
        monkeypatch,
        tmp_path / "code",
        "import os, sys\n"
        "if 'digitserve.server.workers' in sys.orig_argv:\n"
        f"    os.path.exists({str(mark)!r}) and os._exit(7)\n",
    )
    with serving_workers() as command:
        workers = workers_of(command)
        mark.touch()
        os.kill(workers[0], signal.SIGKILL)
        assert command.wait() == 5
        assert over(workers[1])
    last = capfd.readouterr().err.splitlines()[-1]
    assert last.startswith("digitserve-server: worker ")
    assert last.endswith("cannot be kept alive: gone 5 times before it served: exit code 7")


def test_what_was_taken_away_ends_the_service_with_a_line(
    bundles: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Those who have read it serve on; who is to take a dead one's place says what is missing."""
    with watching_workers(bundles) as command:
        workers = workers_of(command)
        shutil.rmtree(bundles)
        with connected(command, workers[1]) as (one,):
            assert one.answering() == 2
            os.kill(workers[0], signal.SIGKILL)
            assert command.wait() == 5
    last = capfd.readouterr().err.splitlines()[-1]
    assert "cannot be kept alive: gone 5 times before it served: " in last
    assert last.endswith("/manifest.json: No such file or directory")
