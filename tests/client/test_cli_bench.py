"""`digitserve bench` against a real server: what it says, what it writes, how it ends."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from digitserve.client.cli import main
from support.command import Command, slow_server
from support.serving import Serving

SAMPLES = Path(__file__).parents[2] / "samples"
SHORT = ("--seconds", "0.3", "--warm-up", "0")
COMMAND = [sys.executable, "-c", "from digitserve.client.cli import main; main()", "bench"]

TIMES = {"p50": float, "p90": float, "p99": float, "p99.9": float, "max": float}
SCHEMA: dict[str, Any] = {
    "schema": int,
    "kind": str,
    "loop": str,
    "images": {"source": str, "count": int, "per_call": int, "accuracy": float | None},
    "calls": {"sent": int, "answered": int, "failed": int, "failed_by": dict, "not_sent": int},
    "seconds": float,
    "calls_per_second": float,
    "images_per_second": float,
    "latency_ms": TIMES,
    "late_ms": TIMES,
    "server_wait_ms": TIMES,
    "server_model_ms": TIMES,
    "client": {"cpu_seconds_per_call": float, "busy": float, "bottleneck": bool},
    "versions": list,
    "histogram": list,
    "date": str,
    "machine": {
        "cpu": str, "cores": int, "system": str, "python": str,
        "grpcio": str, "protobuf": str, "digitserve": str,
    },
    "options": dict,
}  # fmt: skip


def bench(address: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["bench", "--address", address, *SHORT, *arguments])


def measured(address: str, *arguments: str) -> dict[str, Any]:
    """A run that must go well, as JSON."""
    result = bench(address, "--json", "-", *arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def assert_fits(value: Any, schema: Any) -> None:
    """Exactly these keys, of these types."""
    if isinstance(schema, dict):
        assert set(value) == set(schema)
        for key, each in schema.items():
            assert_fits(value[key], each)
    else:
        assert isinstance(value, schema)


class TestEveryKind:
    @pytest.mark.parametrize("kind", ["--unary", "--stream"])
    @pytest.mark.parametrize("loop", [["--concurrency", "3"], ["--rate", "100"]])
    def test_is_answered(self, serving: Serving, kind: str, loop: list[str]) -> None:
        """Every answer right, counts that add up, every field there."""
        told = measured(serving.address, kind, *loop, "--images", "3", "--check")
        calls = told["calls"]
        assert calls["sent"] == calls["answered"] > 0
        assert sum(bucket["count"] for bucket in told["histogram"]) == calls["answered"]
        assert told["versions"] == [1]
        untold = {"late_ms"} if "--rate" not in loop else set()
        untold |= {"server_wait_ms", "server_model_ms"} if kind != "--stream" else set()
        assert {name for name in SCHEMA if told[name] is None} == untold
        assert_fits(told, SCHEMA | dict.fromkeys(untold, type(None)))

    @pytest.mark.parametrize("loop", [["--concurrency", "8"], ["--rate", "100"]])
    def test_pipelined_is_answered(self, serving: Serving, loop: list[str]) -> None:
        """As the others."""
        told = measured(serving.address, "--pipelined", "--check", *loop)
        assert told["calls"]["sent"] == told["calls"]["answered"] > 0


class TestTheImages:
    def test_with_labels_tell_the_accuracy(self, serving: Serving, tmp_path: Path) -> None:
        """Beside an array, in Keras's archive, in folders with a digit's name."""
        images, labels = (np.load(SAMPLES / name) for name in ("digits.npy", "labels.npy"))
        np.savez(tmp_path / "mnist.npz", x_test=images, y_test=labels.astype(np.int64))
        folder = tmp_path / "folders"
        for index, (image, label) in enumerate(zip(images, labels, strict=True)):
            place = folder / str(label)
            place.mkdir(parents=True, exist_ok=True)
            np.save(place / f"{index}.npy", image)
        for data in (SAMPLES / "digits.npy", tmp_path / "mnist.npz", folder):
            told = measured(serving.address, "--data", str(data))
            assert (told["images"]["count"], told["images"]["accuracy"]) == (50, 1.0)

    @pytest.mark.mnist
    def test_of_mnist_as_it_is_published(self, serving: Serving, mnist: Path) -> None:
        """The test set is taken."""
        told = measured(serving.address, "--data", str(mnist))
        assert told["images"]["count"] == 10_000
        assert told["images"]["accuracy"] > 0.96


class TestTheReport:
    def test_is_for_people(self, serving: Serving, tmp_path: Path) -> None:
        """Counts, rates, percentiles, a histogram; and JSON in a file beside it."""
        target = tmp_path / "run.json"
        result = bench(serving.address, "--json", str(target))
        assert result.exit_code == 0
        for word in ("calls sent", "calls/s", "p99.9", "latency", "####", "µs of CPU"):
            assert word in result.stdout
        assert json.loads(target.read_text())["calls"]["failed"] == 0

    def test_has_colours(self, serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where Rich is."""
        pytest.importorskip("rich", reason="tables need the extra `cli`")
        monkeypatch.setenv("FORCE_COLOR", "1")
        assert "█" in bench(serving.address).stdout

    def test_says_what_was_not_sent(self, serving: Serving) -> None:
        """Beyond the bound of what may be in flight."""
        told = measured(serving.address, "--rate", "5000", "--max-in-flight", "2")
        assert told["calls"]["not_sent"] > 0
        assert told["options"]["max_in_flight"] == 2


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--rate", "5", "--concurrency", "2"], 2),
        (["--rate", "0"], 2),
        (["--rate", "nan"], 2),
        (["--seconds", "inf"], 2),
        (["--concurrency", "0"], 2),
        (["--streams", "2"], 2),
        (["--unary", "--stream"], 2),
        (["--pipelined", "--images", "2"], 2),
        (["--json", "/nowhere/at/all"], 2),
        (["--data", "nowhere"], 3),
        (["--label", "nope"], 5),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_sent(
    serving: Serving, arguments: list[str], code: int
) -> None:
    """With an exit code that tells what, and no traceback."""
    result = bench(serving.address, *arguments)
    assert (result.exit_code, result.stdout) == (code, "")


def test_no_server() -> None:
    """One line."""
    result = bench("127.0.0.1:1")
    assert (result.exit_code, result.stderr) == (4, "digitserve: no server at 127.0.0.1:1\n")


@contextmanager
def under_way(*arguments: str) -> Iterator[tuple[Command, subprocess.Popen[str]]]:
    """A server of its own, and a run of a minute that is certainly in its middle."""
    with slow_server() as server:
        command = [*COMMAND, "--address", server.address, "--seconds", "60", "--warm-up", "0"]
        with subprocess.Popen(
            [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            while server.told()["images"] < 50:
                assert process.poll() is None
            yield server, process
            process.kill()


@pytest.mark.parametrize("kind", ["--unary", "--stream"])
def test_a_server_that_dies_ends_the_run(kind: str) -> None:
    """What was measured is reported, then one line says so."""
    with under_way(kind) as (server, process):
        server.process.kill()
        said, errors = process.communicate(timeout=60)
    assert process.returncode == 4
    assert "failed: " in said
    assert errors.count("\n") == 1


@pytest.mark.parametrize("kind", ["--unary", "--stream"])
def test_an_interrupt_reports_what_was_measured(kind: str) -> None:
    """Then one line, and 130."""
    with under_way(kind) as (_, process):
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "digitserve: interrupted\n")
    assert "answered" in said
    assert "INTERRUPTED" in said
