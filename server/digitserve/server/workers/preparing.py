"""A version is loaded by all workers, or by none: what one refuses is refused everywhere.

    first ─▶ read, checked, timed ─▶ the others, all at once ─▶ the worst of what they found

The first alone: what is wrong with a bundle one can find out, a `.keras` file is compiled once, and
if a network breaks the process that loads it, it breaks one.
"""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from digitserve.server.versions.bundle import BundleError
from digitserve.server.versions.settings import Gates
from digitserve.server.versions.version import Findings
from digitserve.server.workers.channel import ChannelClosed
from digitserve.server.workers.deciding import StandIn, stand_in
from digitserve.server.workers.hand import Hand
from digitserve.server.workers.plain import plain_gates

# Seconds for a worker to load a version: a `.keras` file may take five minutes to compile.
_PREPARE_S = 400.0
# A worker may die of something else just then; two hardly do.
_TRIES = 2


class Preparing:
    """Has the workers load versions.

    Attributes:
        serials: of those that are being loaded.
    """

    def __init__(self, hands: Callable[[], Awaitable[Sequence[Hand]]]) -> None:
        """Loads nothing yet.

        Args:
            hands: waits until there are as many as there should be: so one at a time is lost.
        """
        self.serials: set[int] = set()
        self._hands = hands
        self._last = 0

    async def load(self, number: int, path: Path, gates: Gates, pause_s: float) -> StandIn:
        """Has all of them load a version; see `versions.watch.Load`.

        Raises:
            BundleError: if one of them refuses it.
        """
        self._last += 1
        serial = self._last
        told = {
            "serial": serial,
            "number": number,
            "path": str(path),
            "gates": plain_gates(gates),
            "pause_s": pause_s,
        }
        self.serials.add(serial)
        try:
            for _ in range(_TRIES):
                try:
                    return await self._by_all(told)
                except ChannelClosed:
                    continue
        finally:
            self.serials.discard(serial)
        raise BundleError(path, "ended the workers that read it")

    async def _by_all(self, told: dict[str, Any]) -> StandIn:
        """The same once.

        Raises:
            BundleError: if one of them refuses it.
            ChannelClosed: if the first of them died of it.
        """
        first, *others = await self._hands()
        heard = [await first.order("prepare", told, _PREPARE_S)]
        more = await asyncio.gather(
            *(each.order("prepare", told, _PREPARE_S) for each in others), return_exceptions=True
        )
        for each in more:
            if isinstance(each, ChannelClosed):
                continue  # whoever takes its place loads what holds
            if isinstance(each, BaseException):
                raise each
            heard.append(each)
        (manifest, *changed) = {each["manifest"] for each in heard}
        if changed:
            raise BundleError(Path(told["path"]), "changed while it was read")
        return stand_in(
            told["number"],
            base64.b85decode(manifest),
            _worst([Findings(*each["findings"]) for each in heard]),
            engine=heard[0]["engine"],
            serial=told["serial"],
            path=told["path"],
        )


def _worst(found: Sequence[Findings]) -> Findings:
    """What is to hold of a version, whoever answers with it."""
    accuracies = [each.accuracy for each in found if each.accuracy is not None]
    times = [each.image_us for each in found if each.image_us is not None]
    return Findings(min(accuracies, default=None), max(times, default=None), found[0].gate_set)
