"""Callers at a moderate rate, in a process of their own, who know what each version must say.

`python model_load.py ADDRESS BUNDLE…`: calls start by the clock, whatever the server does.
Version 1 must say what the first bundle says, version 2 the second, and so on round.  At the end of
standard input it prints a line of JSON: `calls`, each with the instant at which it was meant to
start (by the monotonic clock, which is the same in all processes) and the seconds from then to its
answer; `faults`, what was not answered, or wrongly.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from digitserve.client import AsyncDigitClient, CallError, Prediction
from digitserve.server.engines.litert import LiteRTEngine
from digitserve.server.versions.gates import gate_set
from digitserve.server.versions.loading import BUNDLED

IMAGES = 8
_PER_S = 300
_GATE_SET = BUNDLED.parent / "versions" / "gate.npz"


class Load:
    """The calls, and what came of them."""

    def __init__(self, bundles: list[Path]) -> None:
        self._images = gate_set(_GATE_SET).images[:IMAGES]
        self._says = [self._said(bundle) for bundle in bundles]
        self.calls: list[tuple[float, float]] = []
        self.faults: list[str] = []

    async def run(self, address: str) -> None:
        """Asks until standard input ends."""
        over = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        async with AsyncDigitClient(address) as client, asyncio.TaskGroup() as tasks:
            await client.health()
            print("asking", flush=True)
            start, asked = time.monotonic(), 0
            while not over.done():
                meant = start + asked / _PER_S
                await asyncio.sleep(max(0.0, meant - time.monotonic()))
                tasks.create_task(self._ask(client, meant))
                asked += 1

    async def _ask(self, client: AsyncDigitClient, meant: float) -> None:
        try:
            told = await client.predict_batch(list(self._images))
        except CallError as error:
            self.faults.append(str(error))
            return
        self.calls.append((meant, time.monotonic() - meant))
        self._check(told)

    def _check(self, told: list[Prediction]) -> None:
        """Every image must be as the one version that is named says, to the bit."""
        (*_, version) = versions = {each.version for each in told}
        expected = self._says[(version - 1) % len(self._says)]
        said = np.array([each.probabilities for each in told], np.float32)
        if len(versions) > 1 or not np.array_equal(said, expected):
            self.faults.append(f"an answer of no version: {sorted(versions)}")

    def _said(self, bundle: Path) -> npt.NDArray[np.float32]:
        engine = LiteRTEngine(bundle / "model.tflite", largest=32)
        return engine.predict(self._images).probabilities


if __name__ == "__main__":
    load = Load([Path(each) for each in sys.argv[2:]])
    asyncio.run(load.run(sys.argv[1]))
    print(json.dumps({"calls": load.calls, "faults": load.faults}))
