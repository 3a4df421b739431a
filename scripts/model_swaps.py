"""Versions swapped under load, and bad ones refused: against a running server, over the wire."""

import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

import wrong_models
from digitserve.client import CallError, DigitClient, FailedPrecondition, ModelState, ModelVersion
from digitserve.server.engines.litert import LiteRTEngine
from digitserve.server.versions.gates import gate_set
from digitserve.server.versions.loading import BUNDLED
from proving import expect
from support.command import Command, server_command

_GATE_SET = BUNDLED.parent / "versions" / "gate.npz"
_CALLERS, _EACH_PER_S = 4, 60
_IMAGES = 8
_QUIET_S = 0.4

Probabilities = npt.NDArray[np.float32]


class Call(NamedTuple):
    """A call that was answered: when it was meant to start, and how long it took from then."""

    at: float
    seconds: float


class Load:
    """Callers at a moderate rate, who know what each version must say.

    Attributes:
        calls: what was answered.
        faults: what was not, or wrongly.
    """

    def __init__(self, address: str, known: Callable[[int], Probabilities | None]) -> None:
        """Asks `address`; `known` gives the digits' probabilities of a version, float32[N, 10]."""
        self.calls: list[Call] = []
        self.faults: list[str] = []
        self._address, self._known = address, known
        self._over = threading.Event()
        self._images = gate_set(_GATE_SET).images[:_IMAGES]
        self._threads = [threading.Thread(target=self._ask) for _ in range(_CALLERS)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def p99(self, spans: list[tuple[float, float]]) -> float:
        """Of the calls that were meant to start within any of these spans, in seconds."""
        within = [call.seconds for call in self.calls if any(a <= call.at < b for a, b in spans)]
        return statistics.quantiles(within, n=100)[98]

    def _ask(self) -> None:
        pixels = list(self._images)
        with DigitClient(self._address) as client:
            client.health()
            start, asked = time.monotonic(), 0
            while not self._over.is_set():
                meant = start + asked / _EACH_PER_S
                time.sleep(max(0.0, meant - time.monotonic()))
                asked += 1
                try:
                    told = client.predict_batch(pixels)
                except CallError as error:
                    self.faults.append(str(error))
                    continue
                self.calls.append(Call(meant, time.monotonic() - meant))
                self._check(told)

    def _check(self, told: list[Any]) -> None:
        """Every image must be as the one version that is named says, to the bit."""
        versions = {each.version for each in told}
        expected = self._known(min(versions))
        said = np.array([each.probabilities for each in told], np.float32)
        if len(versions) > 1 or expected is None or not np.array_equal(said, expected):
            self.faults.append(f"an answer of no version: {sorted(versions)}")


def swaps_under_load(short: bool) -> str:
    """A new version again and again while callers ask; the old one is let go each time."""
    swaps = 15 if short else 50
    networks = [BUNDLED / "1", BUNDLED / "2"]
    says = [_said(bundle) for bundle in networks]
    # A rising number takes the networks by turns.
    with _serving(BUNDLED / "2", "policy.latest = 1\ngates.margin = 0.1") as (command, models):
        during, quiet, resident = [], [], []
        with (
            Load(command.address, lambda number: says[(number + 1) % 2]) as load,
            DigitClient(command.address) as client,
        ):
            time.sleep(1)
            for number in range(3, 3 + swaps):
                quiet.append((time.monotonic(), time.monotonic() + _QUIET_S))
                time.sleep(_QUIET_S)
                _place(networks[(number + 1) % 2], models, number)
                begun = time.monotonic()
                loaded = client.models.load(number)
                client.models.unload(number - 1)
                during.append((begun, time.monotonic()))
                if loaded.labels != ("stable",):
                    load.faults.append(f"version {number} is not stable: {loaded.reason}")
                resident.append(command.resident_bytes())
    ratio = load.p99(during) / load.p99(quiet)
    grown = resident[-1] / resident[4] - 1
    return expect(
        not load.faults and ratio <= 2 and grown <= 0.05,
        f"{swaps} swaps, {len(load.calls)} calls of {_IMAGES} images: {len(load.faults)} failed or "
        f"mixed; p99 during swaps {load.p99(during) * 1e3:.1f} ms, {ratio:.2f} of that without; "
        f"memory {grown:+.1%} from the 5th to the last"
        + (f"; first fault: {load.faults[0]}" if load.faults else ""),
    )


def refusals() -> str:
    """Each kind of bad version: refused with its reason, never answering, stable undisturbed."""
    says = _said(BUNDLED / "1")
    told = []
    with (
        _serving(BUNDLED / "1", "") as (command, models),
        Load(command.address, lambda number: says if number == 2 else None) as load,
        DigitClient(command.address) as client,
        tempfile.TemporaryDirectory() as folder,
    ):
        made = wrong_models.made(Path(folder), BUNDLED / "1")
        for number, (name, (bundle, reason)) in enumerate(made.items(), 3):
            _place(bundle, models, number)
            version = client.models.load(number)
            if not _is_refused(client, version, reason):
                load.faults.append(f"{name}: {version.state.name}, {version.reason!r}")
            told.append(f"{name}: {version.reason}")
        stable = [each.version for each in client.models.list() if "stable" in each.labels]
    return expect(
        not load.faults and stable == [2],
        f"{'; '.join(told)}. {len(load.calls)} calls meanwhile, {len(load.faults)} faults"
        + (f"; first: {load.faults[0]}" if load.faults else ""),
    )


def _is_refused(client: DigitClient, version: ModelVersion, reason: str) -> bool:
    try:
        client.predict(bytes(784), version=version.version)
    except FailedPrecondition:
        return version.state is ModelState.REFUSED and reason in version.reason
    return False


@contextmanager
def _serving(first: Path, settings: str) -> Iterator[tuple[Command, Path]]:
    """A server whose version 2 is this bundle, and the folder that it watches."""
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder)
        (models / "models.toml").write_text(settings, encoding="utf-8")
        _place(first, models, 2)
        with server_command("--models", str(models), "--model-control") as command:
            yield command, models


def _place(bundle: Path, models: Path, number: int) -> None:
    """Puts a copy there, whole at once; the server looks only when it is told to, or after."""
    shutil.copytree(bundle, models / f".{number}")
    (models / f".{number}").rename(models / str(number))


def _said(bundle: Path) -> Probabilities:
    """What a network says of the images of the load."""
    engine = LiteRTEngine(bundle / "model.tflite", largest=32)
    return engine.predict(gate_set(_GATE_SET).images[:_IMAGES]).probabilities
