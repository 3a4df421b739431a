"""`digitserve playground` as a user starts it."""

import http.client
import os
import signal
import socket
import subprocess
import sys

import pytest
from click.testing import CliRunner

from digitserve.client.cli import main
from support.serving import Serving


def test_it_says_where_it_is_and_ends_in_good_order(serving: Serving) -> None:
    """The page, the server that it asks; Ctrl-C is how it ends: with 0, as its help says."""
    command = "from digitserve.client.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", command, "playground", "--listen", "127.0.0.1:0"],
        env=os.environ
        | {"DIGITSERVE_ADDRESS": serving.address, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        words = process.stdout.readline().split()
        assert words[:2] == ["playground", "on"]
        assert words[-1] == serving.address
        connection = http.client.HTTPConnection(words[2].removeprefix("http://"), timeout=60)
        connection.request("GET", "/")
        assert b"digitserve playground" in connection.getresponse().read()
        connection.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.communicate()


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its extra."""
    monkeypatch.setitem(sys.modules, "websockets", None)
    result = CliRunner().invoke(main, ["playground"])
    assert "pip install 'digitserve[playground]'" in result.stderr
    assert result.exit_code == 3


def test_a_port_that_is_taken() -> None:
    """Is told in a line."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = "{}:{}".format(*taken.getsockname())
        result = CliRunner().invoke(main, ["playground", "--listen", place])
    assert f"cannot listen on {place}: Address already in use" in result.stderr
    assert result.exit_code == 3


@pytest.mark.parametrize("place", ["8050", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:99999"])
def test_what_is_no_place_to_listen(place: str) -> None:
    """Is wrong usage."""
    result = CliRunner().invoke(main, ["playground", "--listen", place])
    assert "expected HOST:PORT" in result.stderr
    assert result.exit_code == 2


def test_its_help_says_how_it_ends() -> None:
    """Told from other commands, which are interrupted."""
    told = " ".join(CliRunner().invoke(main, ["playground", "--help"]).output.split())
    assert "Ctrl-C ends it, with exit code 0." in told
    assert "130 interrupted (playground, once it serves: 0)" in told
