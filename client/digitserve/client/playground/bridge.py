"""One browser's way to the server: its WebSocket on one side, one StreamPredict on the other.

    receive ─▶ parse ─▶ Latest ─▶ what the model is shown ─▶ stream ─▶ outcome ─▶ JSON ─▶ send
                          │ a newer picture supersedes the one that waits
                          └─▶ "skipped"

Whoever sends faster than `_RATE` is read no faster; whoever does not read is not answered: either
way a browser holds one picture here, and what the stream has in flight.
"""

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from starlette.websockets import WebSocket, WebSocketDisconnect

from digitserve.client import (
    AsyncDigitClient,
    CallError,
    Delivery,
    DigitServeError,
    Failed,
    Frame,
    Outcome,
    Predicted,
    Prediction,
)
from digitserve.client.camera.boxes import Box, Reading
from digitserve.client.camera.vote import Vote
from digitserve.client.playground import seeing, wire
from digitserve.client.playground.latest import Latest, Pace
from digitserve.client.playground.watch import Watch

# Messages a second: a pen reports 240 times at most, a camera 60.
_RATE, _BURST = 300.0, 60
_IN_FLIGHT = 8
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 2.0
_UNSUPPORTED_DATA = 1003
# What Starlette raises of a browser that has left; the second where somebody was told before.
_GONE = (WebSocketDisconnect, RuntimeError)


class _Left(Exception):
    """The browser has."""


@dataclass(slots=True)
class _Pending:
    """A picture between its arrival and its answer; instants by `time.perf_counter`."""

    sent: wire.Sent
    arrived: float
    handed: float = 0.0
    finder_ms: float = 0.0
    image: bytes = b""
    boxes: list[Box] = field(default_factory=list)


class Bridge:
    """Serves one browser until it leaves."""

    def __init__(
        self, socket: WebSocket, client: AsyncDigitClient, watch: Watch, finder: Executor
    ) -> None:
        """Takes over a socket that was accepted.

        Args:
            socket: the browser's.
            client: to the server; shared with other browsers.
            watch: what the browser is told of the server.
            finder: where the finder runs; shared, so that browsers together have a bound.
        """
        self._socket = socket
        self._client = client
        self._watch = watch
        self._finder = finder
        self._waiting = Latest[_Pending]()
        self._pending: dict[str, _Pending] = {}  # by the stream's frame_id
        self._count = 0
        self._vote = Vote()

    async def run(self, **hello: Any) -> None:
        """Says hello, and bridges until the browser leaves or sends what is no message."""
        with self._watch.browser():
            try:
                await self._say("hello", **hello)
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._reading())
                    tasks.create_task(self._streaming())
                    tasks.create_task(self._watching())
            except* _Left:
                pass
            except* wire.Malformed as group:
                await self._refuse(str(group.exceptions[0]))

    async def _refuse(self, why: str) -> None:
        with suppress(_Left, *_GONE):
            await self._say("refused", message=why)
            await self._socket.close(_UNSUPPORTED_DATA, why[:100])

    async def _say(self, kind: str, **fields: Any) -> None:
        try:
            await self._socket.send_text(wire.said(kind, **fields))
        except _GONE:
            raise _Left from None

    async def _reading(self) -> None:
        pace = Pace(_RATE, _BURST)
        while True:
            message = await self._socket.receive()
            arrived = time.perf_counter()
            if message["type"] == "websocket.disconnect":
                raise _Left
            if message.get("bytes") is None:
                raise wire.Malformed("expected a binary message, got text")
            await pace.turn()
            pending = _Pending(wire.parse(message["bytes"]), arrived)
            if (left := self._waiting.put(pending)) is not None:
                await self._say("skipped", frame=left.sent.frame, where="bridge")

    async def _watching(self) -> None:
        async for state in self._watch.states():
            await self._say("watch", **state)

    # --- the stream ----------------------------------------------------------------------------

    async def _streaming(self) -> None:
        """Keeps a stream open, whatever becomes of the server."""
        pause = _FIRST_PAUSE
        while True:
            self._pending.clear()
            stream = self._client.stream(
                self._frames(), delivery=Delivery.LATEST, max_in_flight=_IN_FLIGHT
            )
            try:
                async with stream:
                    async for outcome in stream:
                        pause = _FIRST_PAUSE
                        await self._tell(outcome)
            except DigitServeError as error:
                await self._say("away", message=str(error), again_in=pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _frames(self) -> AsyncIterator[Frame]:
        while True:
            pending = await self._waiting.take()
            images = await self._shown(pending)
            if images is None:
                continue
            self._count += 1
            frame_id = str(self._count)
            self._pending[frame_id] = pending
            pending.handed = time.perf_counter()
            yield Frame(images, frame_id=frame_id, age=pending.handed - pending.arrived)

    async def _shown(self, pending: _Pending) -> object | None:
        """The images for the model; None, and the browser is told, if there are none."""
        sent = pending.sent
        if sent.kind is wire.Kind.DRAWING:
            image = seeing.drawn(sent)
            if image is None:
                await self._say("blank", frame=sent.frame)
                return None
            pending.image = image
            return image
        loop = asyncio.get_running_loop()
        start = time.perf_counter()
        try:
            digits = await loop.run_in_executor(self._finder, seeing.found, sent)
        except DigitServeError as error:  # the extra is missing
            await self._say("failed", frame=sent.frame, message=str(error))
            return None
        pending.finder_ms = _ms(time.perf_counter() - start)
        pending.boxes = [digit.box for digit in digits]
        if not digits:
            times = {"finder_ms": pending.finder_ms}
            await self._say("picture", frame=sent.frame, digits=[], times=times)
            return None
        return np.stack([digit.image for digit in digits])

    # --- answers -------------------------------------------------------------------------------

    async def _tell(self, outcome: Outcome) -> None:
        """Passes an outcome on."""
        answered = time.perf_counter()
        pending = self._pending.pop(outcome.frame_id)
        number = pending.sent.frame
        if isinstance(outcome, Failed):
            error: CallError = outcome.error
            await self._say("failed", frame=number, code=error.code.name, message=error.message)
            return
        if not isinstance(outcome, Predicted):
            await self._say("skipped", frame=number, where="stream")
            return
        self._watch.answered(answered - pending.arrived)
        times = {
            "bridge_ms": _ms(pending.handed - pending.arrived) - pending.finder_ms,
            "finder_ms": pending.finder_ms,
            "server_ms": _ms(answered - pending.handed),
            "wait_ms": _ms(outcome.wait),
            "model_ms": _ms(outcome.model),
        }
        if pending.sent.kind is wire.Kind.DRAWING:
            seen = base64.b64encode(pending.image).decode("ascii")
            said = _prediction(outcome.predictions[0])
            await self._say("answer", frame=number, seen=seen, times=times, **said)
        else:
            digits = self._read(pending.boxes, outcome.predictions)
            await self._say("picture", frame=number, digits=digits, times=times)

    def _read(self, boxes: list[Box], predictions: tuple[Prediction, ...]) -> list[dict[str, Any]]:
        """The digits of a photo, steadied by those before it."""
        readings = [
            Reading(box, each.digit, each.confidence)
            for box, each in zip(boxes, predictions, strict=True)
        ]
        return [
            {
                "box": list(reading.box),
                "digit": reading.digit,
                "confidence": reading.confidence,
                "rejection": each.rejection,
                "version": each.version,
            }
            for reading, each in zip(self._vote.update(readings), predictions, strict=True)
        ]


def _prediction(said: Prediction) -> dict[str, Any]:
    return {
        "digit": said.digit,
        "confidence": said.confidence,
        "probabilities": [round(each, 6) for each in said.probabilities],
        "rejection": said.rejection,
        "version": said.version,
    }


def _ms(seconds: float) -> float:
    return round(1e3 * seconds, 3)
