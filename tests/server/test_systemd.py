"""What a service of `Type=notify` tells systemd, as systemd hears it."""

import os
import secrets
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from digitserve.server.systemd import Systemd
from support.command import server_command


@contextmanager
def manager(folder: Path, *, abstract: bool = False) -> Iterator[tuple[socket.socket, str]]:
    """A socket that stands for systemd's, and its name as a variable says it."""
    name = f"@digitserve-{secrets.token_hex(8)}" if abstract else str(folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(f"\0{name[1:]}" if abstract else name)
        heard.settimeout(60)
        yield heard, name


def heard_next(heard: socket.socket) -> list[str]:
    """The lines of the next datagram that is no sign of life."""
    while (lines := heard.recv(4096).decode().split("\n")) == ["WATCHDOG=1"]:
        pass
    return lines


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told_from_start_to_end(tmp_path: Path, abstract: bool) -> None:
    """Reading, ready when it serves and not before, stopping as soon as it drains."""
    with (
        manager(tmp_path, abstract=abstract) as (heard, name),
        server_command("--lame-duck", "0", NOTIFY_SOCKET=name) as command,
    ):
        assert heard_next(heard) == ["STATUS=reading the models"]
        assert heard_next(heard) == ["READY=1", f"STATUS=serving on {command.address}"]
        command.signal(signal.SIGTERM)
        assert heard_next(heard) == ["STOPPING=1", "STATUS=draining"]
        assert command.wait() == 0


def test_a_watchdog_is_told_twice_as_often_as_it_must_be(tmp_path: Path) -> None:
    """From the first moment on, for as long as the event loop runs."""
    with (
        manager(tmp_path) as (heard, name),
        server_command(NOTIFY_SOCKET=name, WATCHDOG_USEC="200000"),
    ):
        for _ in range(5):
            while heard.recv(4096) != b"WATCHDOG=1":
                pass
    assert Systemd({"WATCHDOG_USEC": "200000"})._every_s == 0.1


def test_another_process_s_watchdog_is_none_of_ours(tmp_path: Path) -> None:
    """`WATCHDOG_PID` names who is meant."""
    told = {"WATCHDOG_USEC": "200000", "NOTIFY_SOCKET": str(tmp_path / "notify")}
    assert not Systemd(told | {"WATCHDOG_PID": f"{os.getpid() + 1}"})._every_s
    assert Systemd(told | {"WATCHDOG_PID": f"{os.getpid()}"})._every_s


def test_without_systemd_nobody_is_told() -> None:
    """No variable, no datagram, no line."""
    Systemd({}).say("READY=1")
    Systemd({}).beat()


def test_a_manager_that_is_gone_does_not_stop_the_server(tmp_path: Path) -> None:
    """A line in the log, and it serves."""
    with server_command(NOTIFY_SOCKET=str(tmp_path / "gone"), log=subprocess.DEVNULL) as command:
        assert command.address
