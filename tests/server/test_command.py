"""`digitserve-server` as a user has it: start, signals, exit codes and one-line errors."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from digitserve.client import DigitClient, Health, Unavailable
from digitserve.server.__main__ import main
from support.command import failed_command, server_command
from support.drain import drained_stream


def test_help_tells_the_options_and_exit_codes() -> None:
    """With examples."""
    said = CliRunner().invoke(main, ["--help"]).output
    assert "--models" in said
    assert "Exit codes:" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_an_idle_server_cleanly(number: signal.Signals) -> None:
    """Exit code 0, after the lame-duck time if it is SIGTERM."""
    with server_command("--lame-duck", "0.01") as command:
        with DigitClient(command.address) as client:
            assert client.health() is Health.SERVING
            assert client.predict(bytes(784)).version == 3
        command.signal(number)
        assert command.wait() == 0


def test_a_second_signal_stops_at_once() -> None:
    """What was still open is cut, and the exit code says so."""
    with server_command("--lame-duck", "600") as command, DigitClient(command.address) as client:
        assert client.health() is Health.SERVING
        command.signal(signal.SIGTERM)
        while client.health() is not Health.NOT_SERVING:
            pass
        command.signal(signal.SIGTERM)
        assert command.wait() == 1


def test_a_unix_socket_serves_and_is_not_stolen(tmp_path: Path) -> None:
    """A living server keeps it; what a dead one left is taken over."""
    address = f"unix:{tmp_path / 'digits.sock'}"
    with server_command("--address", address) as command:
        with DigitClient(address) as client:
            assert client.predict(bytes(784)).version == 3
        code, said = failed_command("--address", address)
        assert code == 3
        assert said.endswith(f"digitserve-server: {address} is taken by another server\n")
        command.signal(signal.SIGKILL)
        command.wait()
    with server_command("--address", address), DigitClient(address) as client:
        assert client.health() is Health.SERVING


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_port_that_is_taken_is_refused(host: str) -> None:
    """By any server, digitserve or not; also through another of a name's addresses."""
    with server_command() as command:
        port = command.address.rpartition(":")[2]
        code, said = failed_command("--address", f"{host}:{port}")
        assert (code, said.count("\n")) == (3, 1)
        assert f"127.0.0.1:{port} is taken" in said


def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    """A word and a port out of range are wrong usage; a file may stand in the socket's place."""
    (tmp_path / "file").touch()
    for address, refused in (
        ("nonsense", 2),
        ("127.0.0.1:99999", 2),
        (f"unix:{tmp_path / 'file'}", 3),
    ):
        code, said = failed_command("--address", address)
        assert (code, said.count("\n")) == (refused, 1)
        assert said.startswith("digitserve-server: ")


def test_a_model_that_cannot_be_served_is_refused(tmp_path: Path) -> None:
    """Exit code 4 and one line that names the folder; the port was not kept."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = "{}:{}".format(*free.getsockname())
    code, said = failed_command("--address", address, "--models", str(tmp_path))
    assert code == 4
    assert said.splitlines()[-1].startswith(f"digitserve-server: {tmp_path}: expected")
    with DigitClient(address) as client, pytest.raises(Unavailable):
        client.health()


def test_the_serving_process_never_imports_tensorflow() -> None:
    """Nor Keras, nor the trainer, nor the client."""
    code = (
        "import sys; from support.serving import serving\n"
        "with serving() as up:\n"
        "  print([name for name in ('tensorflow', 'keras', 'digitserve.trainer',"
        " 'digitserve.client') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_sigterm_during_a_stream_loses_nothing() -> None:
    """The notice comes, every accepted frame is answered, the rest are refused in band; exit 0."""
    result = drained_stream()
    assert result.fault == ""
    assert result.answered >= 50
    assert result.refused >= 20
