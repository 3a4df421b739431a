"""A worker: a server that is told by its supervisor what to serve, and when.

    begin ─▶ follow: load, warm ─▶ serve: bind, listen ─▶ prepare, follow … ─▶ drain
                                                                              └ or nobody tells
It listens only when it is warm.  When the supervisor is gone it drains by itself.
"""

import asyncio
import base64
import hashlib
import logging
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from digitserve.server.app import Server
from digitserve.server.core import Led
from digitserve.server.guard.limits import Accounts
from digitserve.server.observe.family import Snapshot
from digitserve.server.observe.logs import set_up_logs
from digitserve.server.versions.bundle import BundleError
from digitserve.server.versions.settings import Gates
from digitserve.server.versions.version import Version
from digitserve.server.versions.watch import Load, loading_here
from digitserve.server.workers.channel import Channel, ChannelClosed
from digitserve.server.workers.faults import Unforeseen
from digitserve.server.workers.follower import DECIDED, Decision, Follower
from digitserve.server.workers.plain import config_of, gates_of
from digitserve.server.workers.relay import Relay
from digitserve.server.workers.shared import SharedAccounts

_log = logging.getLogger(__name__)

# Seconds for what a caller asks of ModelService: a `.keras` file may be compiled first.
_CONTROL_S = 900.0
_REPORT_S = 10.0
# What the supervisor says for all of them.
_TOLD_ONCE = ("digitserve.server.versions.registry",)
# A version that all serve is not judged again by who comes late.
_NO_GATES = Gates(accuracy=0.0, image_us=float("inf"))


class Worker:
    """One worker, from its start to its end.

    Attributes:
        channel: to the supervisor.
    """

    channel: Channel

    def __init__(self) -> None:
        self._registry = Follower(self._report)
        self._loaded: dict[int, Version] = {}
        self._turn = asyncio.Lock()  # one decision at a time, in the order they came
        self._server: Server | None = None
        self._serving = False
        self._draining: asyncio.Future[bool] | None = None
        self._reported: asyncio.Future[None] | None = None
        self._handlers: dict[str, Callable[..., Coroutine[Any, Any, Any]]] = {
            "begin": self._begin,
            "prepare": self._prepare,
            "follow": self._follow,
            "serve": self._serve,
            "sums": self._sums,
            "figures": self._figures,
            "drain": self._drain,
        }

    async def handle(self, what: str, told: Any) -> Any:
        """Does what the supervisor asks for."""
        return await self._handlers[what](**told)

    async def end(self) -> bool:
        """The supervisor is gone: finishes what was accepted, and takes nothing new.

        Returns:
            Whether everything that was open ended by itself.
        """
        if not self._serving:
            return True
        if self._draining is None:
            _log.warning("the supervisor is gone; draining")
        return await self._drain(0.0)

    # --- what the supervisor asks for ----------------------------------------------------------

    async def _begin(self, config: dict[str, str], place: int, table: int | None) -> None:
        self._config = config_of(config)
        set_up_logs(self._config.log_form, worker=place)
        for name in _TOLD_ONCE:
            logging.getLogger(name).setLevel(logging.ERROR)
        self._load: Load = loading_here(self._config)
        accounts: Accounts | None = None
        if table is not None:
            accounts = SharedAccounts(table, place)
        led = Led(self._registry, accounts, Relay(self._control).relayed)
        self._server = Server(self._config, led=led)

    async def _prepare(
        self, serial: int, number: int, path: str, gates: dict[str, Any], pause_s: float
    ) -> dict[str, Any]:
        # Takes minutes, maybe, and no turn: what is decided meanwhile is followed meanwhile.
        version = await self._load_one(serial, number, Path(path), gates_of(gates), pause_s)
        found = version.findings
        return {
            "manifest": base64.b85encode(_manifest(version)).decode(),
            "findings": [found.accuracy, found.image_us, found.gate_set],
            "engine": version.turns.engine.name,
        }

    async def _load_one(
        self, serial: int, number: int, path: Path, gates: Gates, pause_s: float
    ) -> Version:
        try:
            version = await self._load(number, path, gates, pause_s)
        except BundleError:
            raise
        except Exception:  # whatever it was, it ends this version and not the worker
            _log.exception("version %d", number)
            why = "could not be loaded, for a reason that nobody foresaw"
            raise BundleError(path, why) from None
        self._loaded[serial] = version
        return version

    async def _follow(self, decision: Decision) -> None:
        async with self._turn:
            for known in decision["known"]:
                serial = known["serial"]
                if serial and serial not in self._loaded:
                    path = Path(known["path"])
                    version = await self._load_one(serial, known["number"], path, _NO_GATES, 0.0)
                    if hashlib.sha256(_manifest(version)).hexdigest() != known["digest"]:
                        raise BundleError(path, "is not what the other workers loaded")
            self._registry.follow(decision, self._loaded)
            kept = {known["serial"] for known in decision["known"]} | set(decision["preparing"])
            for serial in set(self._loaded) - kept:
                self._loaded.pop(serial).turns.close()

    async def _serve(self) -> None:
        assert self._server is not None
        await self._server.start()
        self._serving = True

    async def _sums(self) -> dict[str, Any]:
        """What is summed over the workers."""
        images = {serial: version.images for serial, version in self._loaded.items()}
        shadows = [[number, *told] for number, told in self._registry.shadow.tallies.items()]
        return {"images": list(images.items()), "shadows": shadows}

    async def _figures(self) -> Snapshot:
        """What is told of this one."""
        assert self._server is not None
        return [each for each in self._server.snapshot() if each["name"] not in DECIDED]

    async def _drain(self, lame_duck_s: float) -> bool:
        assert self._server is not None
        if self._draining is None:
            self._draining = asyncio.ensure_future(self._server.drain(lame_duck_s))
        return await asyncio.shield(self._draining)  # it goes on without who asked for it

    # --- what this one asks for ----------------------------------------------------------------

    def _report(self, version: Version, error: Exception) -> None:
        """Tells the supervisor of a network that breaks turn after turn; once at a time."""
        serial = next((at for at, each in self._loaded.items() if each is version), 0)
        why = f"{version.failures} turns broken in a row ({type(error).__name__})"
        if self._reported is None or self._reported.done():
            self._reported = asyncio.ensure_future(self._told({"serial": serial, "why": why}))

    async def _told(self, broke: dict[str, Any]) -> None:
        try:
            await self.channel.ask("broke", broke, within_s=_REPORT_S)
        except (ChannelClosed, Unforeseen):
            return  # the next broken turns tell it again

    async def _control(self, method: str, request: str) -> Any:
        told = {"method": method, "request": request}
        return await self.channel.ask("control", told, within_s=_CONTROL_S)


def _manifest(version: Version) -> bytes:
    return version.manifest.SerializeToString(deterministic=True)
