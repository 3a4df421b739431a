"""`digitserve-server` as a user has it: start, signals, exit codes and one-line errors."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner

from digitserve.client import DigitClient, Health, Unavailable
from digitserve.server.__main__ import main
from digitserve.server.config import KNOBS
from digitserve.server.knobs import shown
from digitserve.server.versions.loading import BUNDLED
from digitserve.v1 import models_pb2, models_pb2_grpc
from support.command import failed_command, server_command, started
from support.drain import drained_stream


def test_help_tells_the_options_and_exit_codes() -> None:
    """With examples."""
    said = CliRunner().invoke(main, ["--help"]).output
    assert "--models" in said
    assert "Exit codes:" in said
    assert "  config  Shows every field" in said


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--grce", "3"], "--grce: no such flag; did you mean --grace?"),
        (["config", "--grce", "3"], "--grce: no such flag; did you mean --grace?"),
        (
            ["--no-model-contrl"],
            "--no-model-contrl: no such flag; did you mean --no-model-control?",
        ),
        (["--xyz"], "--xyz: no such flag"),
        (["confg"], "confg: no such command; did you mean config?"),
        (["config", "all"], "Got unexpected extra argument (all)"),
        (["--grace"], "Option '--grace' requires an argument."),
    ],
)
def test_wrong_usage_takes_one_line(arguments: list[str], told: str) -> None:
    """With what was probably meant."""
    assert failed_command(*arguments) == (2, f"digitserve-server: {told}\n")


def test_a_file_and_variables_fill_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without a flag; what Kubernetes sets by itself is told in a line, and does no harm."""
    (tmp_path / "server.toml").write_text(
        f"addresses = ['127.0.0.1:0']\nmodels = '{BUNDLED / '1'}'\nmax_images = 7\n"
    )
    monkeypatch.setenv("DIGITSERVE_SERVER_CONFIG", str(tmp_path / "server.toml"))
    monkeypatch.setenv("DIGITSERVE_SERVER_MAX_IN_FLIGHT_FRAMES", "8")
    monkeypatch.setenv("DIGITSERVE_SERVER_SERVICE_HOST", "10.0.0.1")
    with (
        started("digitserve.server") as command,
        grpc.insecure_channel(command.address) as channel,
    ):
        stub = models_pb2_grpc.ModelServiceStub(channel)
        limits = stub.GetLimits(models_pb2.GetLimitsRequest(), wait_for_ready=True)
    assert (limits.max_images, limits.max_in_flight_frames) == (7, 8)
    (warned,) = [line for line in capfd.readouterr().err.splitlines() if "WARNING" in line]
    assert warned.endswith("DIGITSERVE_SERVER_SERVICE_HOST: no such variable, ignored")


def test_config_shows_what_would_hold(tmp_path: Path) -> None:
    """A line for each field: its value, who said it and, if asked, what it is."""
    path = tmp_path / "server.toml"
    path.write_text("turn_ms = 12.5\naddresses = ['a:1', 'b:1']")
    done = CliRunner().invoke(main, ["--config", str(path), "config", "--metrics", "c:1"])
    head, *rows = done.output.splitlines()
    assert head.split() == ["field", "value", "from"]
    assert {row.split()[0]: row.split()[1:] for row in rows} == {
        name: [shown(knob.default), "default"] for name, knob in KNOBS.items()
    } | {
        "addresses": ["a:1,b:1", str(path)],
        "turn_ms": ["12.5", str(path)],
        "metrics": ["c:1", "--metrics"],
    }
    said = CliRunner().invoke(main, ["config", "--describe"]).output
    assert "images in one message.\n" in said


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


def test_what_nobody_asked_for_is_not_read() -> None:
    """Neither grpcio, which serves nothing here, nor the guard, nor metrics: a start is short."""
    left_out = ("grpc", "digitserve.server.guard.guarding", "prometheus_client", "opentelemetry")
    told = (
        f"import sys, digitserve.server.__main__; print(set(sys.modules).intersection({left_out}))"
    )
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
