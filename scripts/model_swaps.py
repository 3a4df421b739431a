"""Versions swapped under load, and bad ones refused: against a running server, over the wire."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import wrong_models
from digitserve.client import DigitClient, FailedPrecondition, ModelState, ModelVersion
from digitserve.server.versions.loading import BUNDLED
from proving import expect
from support.command import Command, server_command

_QUIET_S = 0.3
_FIRST = 2  # the version that is there at the start

Span = tuple[float, float]


@dataclass
class Asked:
    """What came of the callers of `model_load.py`; filled when they are done.

    Attributes:
        calls: of each that was answered, the instant at which it was meant to start, and seconds.
        faults: of each that was not, or wrongly, why.
    """

    calls: list[Span] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def p99(self, spans: list[Span]) -> float:
        """Of the calls that were meant to start within any of these spans, in seconds."""
        within = [took for at, took in self.calls if any(a <= at < b for a, b in spans)]
        return statistics.quantiles(within, n=100)[98]

    def told(self) -> str:
        """How many, and the first fault."""
        first = f"; first fault: {self.faults[0]}" if self.faults else ""
        return f"{len(self.calls)} calls, {len(self.faults)} failed or mixed{first}"


@contextmanager
def _load(address: str, *bundles: Path) -> Iterator[Asked]:
    """Callers ask while the block runs; version 1 is the first bundle, and so on round."""
    asked = Asked()
    process = subprocess.Popen(
        [sys.executable, Path(__file__).parent / "model_load.py", address, *bundles],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert process.stdout is not None
    try:
        process.stdout.readline()
        yield asked
        told = json.loads(process.communicate(timeout=60)[0])
        asked.calls = [(at, took) for at, took in told["calls"]]
        asked.faults += told["faults"]
    finally:
        process.kill()
        process.wait()


def swaps_under_load(short: bool) -> str:
    """A new version again and again while callers ask; the old one is let go each time.

    The ratio is the median of three rounds, since the machine has other things to do as well.
    """
    swaps = 30 if short else 51
    networks = BUNDLED / "1", BUNDLED / "2"
    during: list[Span] = []
    quiet: list[Span] = []
    resident: list[int] = []
    settings = "policy.latest = 1\ngates.margin = 0.1"
    with (
        _serving(networks[(_FIRST - 1) % 2], settings) as (command, models),
        DigitClient(command.address) as client,
        _load(command.address, *networks) as asked,
    ):
        time.sleep(1)
        for number in range(_FIRST + 1, _FIRST + 1 + swaps):
            _place(networks[(number - 1) % 2], models, number)
            begun = time.monotonic()
            time.sleep(_QUIET_S)
            swapped = time.monotonic()
            loaded = client.models.load(number)
            client.models.unload(number - 1)
            quiet.append((begun, swapped))
            during.append((swapped, time.monotonic()))
            if loaded.labels != ("stable",):
                asked.faults.append(f"version {number} is not stable: {loaded.reason}")
            resident.append(command.resident_bytes())
    rounds = [
        asked.p99(during[at : at + swaps // 3]) / asked.p99(quiet[at : at + swaps // 3])
        for at in range(0, swaps, swaps // 3)
    ]
    ratio, grown = statistics.median(rounds), resident[-1] / resident[4] - 1
    return expect(
        not asked.faults,
        f"{swaps} swaps, {asked.told()}; p99 during swaps {asked.p99(during) * 1e3:.1f} ms, "
        f"{ratio:.2f} of that without ({min(rounds):.2f} to {max(rounds):.2f} in three rounds); "
        f"memory {grown:+.1%} from the 5th to the last",
        bounds=ratio <= 2 and grown <= 0.05,
    )


def refusals() -> str:
    """Each kind of bad version: refused with its reason, never answering, stable undisturbed."""
    told = []
    good = BUNDLED / "1"
    with (
        tempfile.TemporaryDirectory() as folder,
        _serving(good, "") as (command, models),
        DigitClient(command.address) as client,
        _load(command.address, good) as asked,
    ):
        made = wrong_models.made(Path(folder), good)
        for number, (name, (bundle, reason)) in enumerate(made.items(), _FIRST + 1):
            _place(bundle, models, number)
            version = client.models.load(number)
            if not _is_refused(client, version, reason):
                asked.faults.append(f"{name}: {version.state.name}, {version.reason!r}")
            told.append(f"{name}: {version.reason}")
        stable = [each.version for each in client.models.list() if "stable" in each.labels]
    return expect(
        not asked.faults and stable == [_FIRST], f"{'; '.join(told)}. Meanwhile {asked.told()}"
    )


def _is_refused(client: DigitClient, version: ModelVersion, reason: str) -> bool:
    try:
        client.predict(bytes(784), version=version.version)
    except FailedPrecondition:
        return version.state is ModelState.REFUSED and reason in version.reason
    return False


@contextmanager
def _serving(first: Path, settings: str) -> Iterator[tuple[Command, Path]]:
    """A server whose first version is this bundle, and the folder that it watches."""
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder)
        (models / "models.toml").write_text(settings, encoding="utf-8")
        _place(first, models, _FIRST)
        with server_command("--models", str(models), "--model-control") as command:
            yield command, models


def _place(bundle: Path, models: Path, number: int) -> None:
    """Puts a copy there, whole at once."""
    shutil.copytree(bundle, models / f".{number}")
    (models / f".{number}").rename(models / str(number))
