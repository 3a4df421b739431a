"""The command `digitserve` as scripts and people have it: output, one-line errors, exit codes."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from click.testing import CliRunner, Result

from digitserve.client.cli import main
from digitserve.client.cli.table import drawing
from support.engines import HeldEngine
from support.serving import Serving, serving, versions_of

SAMPLES = Path(__file__).parents[2] / "samples"
PGM = str(SAMPLES / "7.pgm")
ARRAY = str(SAMPLES / "digits.npy")


def run(*arguments: str, address: str | None = None, **options: Any) -> Result:
    """Runs the command in this process."""
    environment = {"DIGITSERVE_ADDRESS": address} if address else {}
    return CliRunner().invoke(main, arguments, env=environment, **options)


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        yield "{}:{}".format(*free.getsockname())


class TestPredict:
    def test_a_line_for_each_image(self, serving: Serving) -> None:
        """Name, digit, confidence."""
        result = run("predict", PGM, ARRAY, address=serving.address)
        assert result.exit_code == 0
        lines = result.stdout.splitlines()
        assert len(lines) == 51
        name, digit, confidence = lines[0].split()
        assert (name, digit) == (PGM, "7")
        assert 0.5 < float(confidence) <= 1

    def test_json_lines(self, serving: Serving) -> None:
        """All that the server said of each image, on a line of its own."""
        result = run("predict", "--json", PGM, address=serving.address)
        said = json.loads(result.stdout)
        assert said["digit"] == 7
        assert len(said["probabilities"]) == 10
        assert set(said) == {
            "name", "digit", "confidence", "probabilities", "rejection", "version",
        }  # fmt: skip

    def test_every_sample_picture_is_read_right(self, serving: Serving) -> None:
        """Dark ink on light paper, of any size: the file's name says its digit."""
        pytest.importorskip("PIL", reason="pictures need the extra `cli`")
        pictures = sorted((SAMPLES / "digits").glob("*.png"))
        result = run("predict", "--json", *map(str, pictures), address=serving.address)
        said = [json.loads(line)["digit"] for line in result.stdout.splitlines()]
        assert said == [int(picture.name[0]) for picture in pictures]

    def test_tables_for_people(self, serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
        """The digit drawn, a bar for each probability; many images share a table."""
        pytest.importorskip("rich", reason="tables need the extra `cli`")
        monkeypatch.setenv("FORCE_COLOR", "1")
        few, many = (run("predict", file, address=serving.address) for file in (PGM, ARRAY))
        assert "▀" in few.stdout
        assert "rejection" in few.stdout
        assert "digits.npy[49]" in many.stdout


class TestStream:
    def test_an_outcome_for_each_frame_and_a_summary(self, serving: Serving) -> None:
        """In order; the summary is no part of the results."""
        result = run("stream", "--json", ARRAY, address=serving.address)
        said = [json.loads(line) for line in result.stdout.splitlines()]
        assert [each["sequence"] for each in said] == list(range(50))
        assert {each["name"] for each in said} == {f"{ARRAY}[{at}]" for at in range(50)}
        assert "50 frames: 50 predicted, 0 failed" in result.stderr

    def test_a_folder(self, serving: Serving) -> None:
        """A frame for each picture, sorted by name."""
        pytest.importorskip("PIL", reason="pictures need the extra `cli`")
        result = run("stream", "--json", str(SAMPLES / "digits"), address=serving.address)
        names = [json.loads(line)["name"] for line in result.stdout.splitlines()]
        assert names == sorted(names)
        assert result.exit_code == 0

    def test_an_empty_folder(self, serving: Serving, tmp_path: Path) -> None:
        """Is no source."""
        result = run("stream", str(tmp_path), address=serving.address)
        assert (result.exit_code, result.stderr.count("\n")) == (3, 1)

    def test_standard_input(self, serving: Serving) -> None:
        """Raw frames; one that is cut off is an error after the answers to the others."""
        command = [sys.executable, "-c", "from digitserve.client.cli import main; main()"]
        done = subprocess.run(
            [*command, "stream", "-", "--address", serving.address],
            input=bytes(784 * 3 + 10),
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 3
        assert len(done.stdout.splitlines()) == 3
        assert b"10 bytes after frame 3" in done.stderr


class TestHealth:
    def test_serving(self, serving: Serving) -> None:
        """Said, with exit code 0."""
        result = run("health", address=serving.address)
        assert (result.stdout, result.exit_code) == ("SERVING\n", 0)

    def test_not_serving(self) -> None:
        """Said, with an exit code of its own."""
        with serving(versions=versions_of(HeldEngine(), inline=False)) as up:
            draining = asyncio.run_coroutine_threadsafe(up.server.drain(3600), up.loop)
            up.tasks()
            result = run("health", address=up.address)
            draining.cancel()
            up.tasks()
        assert (result.stdout, result.exit_code) == ("NOT_SERVING\n", 6)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["predict", "nowhere.png"], 3, "nowhere.png: No such file"),
        (["predict", __file__], 3, "test_cli.py: "),
        (["stream", "nowhere"], 3, "nowhere: No such file"),
        (["predict", PGM, "--label", "canary"], 5, "no label 'canary' here"),
        (["stream", PGM, "--model-version", "9"], 5, "no version '9' here"),
        (["health", "--service", "a.B"], 5, "refused"),
    ],
)
def test_an_error_is_one_line(serving: Serving, arguments: list[str], code: int, said: str) -> None:
    """On standard error, with an exit code that tells it from others, and no traceback."""
    result = run(*arguments, address=serving.address)
    assert (result.exit_code, result.stderr.count("\n")) == (code, 1)
    assert result.stderr.startswith("digitserve: ")
    assert said in result.stderr


@pytest.mark.parametrize("arguments", [["predict", PGM], ["stream", PGM], ["health"]])
class TestTheServer:
    def test_is_absent(self, nobody: str, arguments: list[str]) -> None:
        """Said so."""
        result = run(*arguments, address=nobody)
        assert (result.exit_code, result.stderr) == (4, f"digitserve: no server at {nobody}\n")

    def test_speaks_something_else(self, arguments: list[str]) -> None:
        """Told from one that is absent."""
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def greet() -> None:
                while True:
                    try:
                        connection, _ = listener.accept()
                    except OSError:
                        return
                    greeted.append(connection)
                    with suppress(OSError):  # a caller that is gone already
                        connection.sendall(b"220 mail.example ESMTP\r\n")

            greeted: list[socket.socket] = []
            greeting = threading.Thread(target=greet, daemon=True)
            greeting.start()
            address = "{}:{}".format(*listener.getsockname())
            result = run(*arguments, address=address)
            listener.shutdown(socket.SHUT_RDWR)
            greeting.join()
        for connection in greeted:
            connection.close()
        assert result.exit_code == 4
        assert result.stderr == f"digitserve: {address} answers, but is not a gRPC server\n"


def test_another_grpc_server_is_told_from_ours() -> None:
    """It answers UNIMPLEMENTED, without our reason."""
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    result = run("predict", PGM, address=f"127.0.0.1:{port}")
    server.stop(None)
    assert result.exit_code == 4
    assert "is a gRPC server, but not a digitserve server" in result.stderr


def test_any_name_of_a_file_will_do(serving: Serving, tmp_path: Path) -> None:
    """Longer than a frame's may be, and not UTF-8."""
    folder = tmp_path / ("x" * 200) / ("y" * 200)
    folder.mkdir(parents=True)
    for name in (b"a.pgm", b"\xff.pgm"):
        (folder / os.fsdecode(name)).write_bytes(Path(PGM).read_bytes())
    result = run("stream", "--json", str(folder), address=serving.address)
    assert result.exit_code == 0
    assert [json.loads(line)["digit"] for line in result.stdout.splitlines()] == [7, 7]


def test_the_unforeseen_is_one_line_as_well(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it is, no traceback."""

    def breaks(_: str) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("digitserve.client.cli.commands.read_images", breaks)
    result = run("predict", PGM, address=serving.address)
    assert result.exit_code == 1
    assert result.stderr == "digitserve: unforeseen: ZeroDivisionError: by zero\n"


@pytest.mark.parametrize("version", ["0", "-1", "18446744073709551616", "one"])
def test_a_version_that_cannot_be_is_wrong_usage(version: str) -> None:
    """Before anything is sent."""
    assert run("predict", PGM, "--model-version", version).exit_code == 2


@pytest.mark.parametrize(
    "arguments", [["predict"], ["stream"], ["predict", PGM, "--label", "a", "--model-version", "1"]]
)
def test_wrong_usage(arguments: list[str]) -> None:
    """Exit code 2, as everywhere."""
    assert run(*arguments).exit_code == 2


@pytest.mark.parametrize("command", [[], ["predict"], ["stream"], ["health"]])
def test_help_tells_the_exit_codes(command: list[str]) -> None:
    """Of every command."""
    assert "130  interrupted" in run(*command, "--help").output


def test_an_interrupt_is_one_line(serving: Serving) -> None:
    """Ctrl-C in the middle of a stream: 130, no traceback."""
    command = [sys.executable, "-c", "from digitserve.client.cli import main; main()"]
    process = subprocess.Popen(
        [*command, "stream", "-", "--address", serving.address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(bytes(784))
    process.stdin.flush()
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.splitlines()[-1] == b"digitserve: interrupted"
    assert b"Traceback" not in said


@pytest.mark.parametrize("module", ["grpc", "digitserve.client.cli.output", "rich.console"])
def test_an_early_interrupt_is_one_line(module: str) -> None:
    """Ctrl-C while the command is imported, or what it needs: the same."""
    pytest.importorskip("rich", reason="tables need the extra `cli`")
    script = f"""
import os, signal, sys

class Hand:
    def find_spec(name, *_):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Hand)
from digitserve.command import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", script, "predict", PGM],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "FORCE_COLOR": "1"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (130, b"digitserve: interrupted\n")


def test_a_name_that_cannot_be_shown_loses_no_answer(serving: Serving, tmp_path: Path) -> None:
    """What is not UTF-8 in it is replaced, however strict the terminal."""
    file = os.fsencode(tmp_path) + b"/\xff.pgm"
    Path(os.fsdecode(file)).write_bytes(Path(PGM).read_bytes())
    done = subprocess.run(
        [
            *(sys.executable, "-c", "from digitserve.command import main; main()"),
            *("predict", file, "--address", serving.address),
        ],
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONIOENCODING": "utf-8:strict"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(os.fsencode(tmp_path) + b"/?.pgm 7 ")


@pytest.mark.parametrize("given", ["inf", "nan", "1e300"])
@pytest.mark.parametrize(
    "command",
    [["predict", PGM, "--timeout"], ["health", "--timeout"], ["stream", PGM, "--max-age"]],
)
def test_a_time_without_an_end_is_wrong_usage(command: list[str], given: str) -> None:
    """It would be over at once, or overflow."""
    result = run(*command, given)
    assert result.exit_code == 2
    assert f"{given if given != '1e300' else '1e+300'}" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["stream", ""], "name a SOURCE"),
        (["stream", PGM, "--timeout", "1"], "No such option"),
        (["predict", PGM, "--address", ""], "expected an address"),
    ],
)
def test_what_would_mean_something_else_is_wrong_usage(arguments: list[str], said: str) -> None:
    """The current folder, a bound that none keeps, no address."""
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.parametrize("option", ["--ca", "--cert"])
@pytest.mark.parametrize("command", [["predict", PGM], ["bench"], ["playground"]])
def test_a_file_without_a_certificate_is_named(command: list[str], option: str) -> None:
    """In one line, where gRPC would say that there is no server."""
    key = ["--key", PGM] if option == "--cert" else []
    result = run(*command, option, PGM, *key)
    said = f"digitserve: {PGM}: no certificate in it, expected PEM\n"
    assert (result.exit_code, result.stderr) == (3, said)


def test_a_digit_is_drawn_in_fourteen_lines() -> None:
    """In greys, or in letters where there is no colour."""
    image = bytes([0, 255] * 392)
    for colour in (True, False):
        lines = drawing(image, colour=colour).plain.splitlines()
        assert [len(line) for line in lines] == [28] * 14
