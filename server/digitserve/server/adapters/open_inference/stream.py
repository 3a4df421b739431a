"""ModelStreamInfer: a response for each request, in their order, several in flight.

    requests ──▶ read ──▶ [ tasks, oldest first ] ──▶ write ──▶ responses

A request that is wrong fails alone, in a response with its id.  A caller that sent the metadata
`triton_grpc_error: true` wants a failure to end the stream, with its status.  Nothing in the
protocol tells a caller to leave: at a drain what was read is answered, and then the stream ends
UNAVAILABLE, so that whoever sent more knows that it was not taken.
"""

import asyncio
from typing import Any

from digitserve.server.adapters.open_inference.infer import REQUEST, Inference
from digitserve.server.adapters.open_inference.messages import message
from digitserve.server.codec import PIXELS
from digitserve.server.config import Config
from digitserve.server.errors import CredentialExpired, DomainError, Draining, status_of
from digitserve.server.observe.observer import Observer
from digitserve.server.services import END, GARBAGE, StreamCall, checked, parsed
from digitserve.server.services.known import KnownStream
from digitserve.server.services.window import Frame
from digitserve.server.wire import varint

STRICT = "triton_grpc_error"


class InferStream:
    """One open stream.

    Attributes:
        messages: how many requests were read so far.
        cut: why nothing more is read; None: whatever comes is.
    """

    def __init__(
        self, call: StreamCall, config: Config, inference: Inference, observer: Observer | None
    ) -> None:
        """Answers by `inference`; `observer`, if any, sees what came of each request."""
        self._call, self._config, self._inference = call, config, inference
        self._strict = call.metadata(STRICT) == "true"
        self._watch = None if observer is None else observer.stream()
        self._line: asyncio.Queue[_Pending | None] = asyncio.Queue(config.max_in_flight_frames)
        self._most, self._images = config.max_in_flight_images, 0
        self._room = asyncio.Event()
        self.messages = 0
        self._reader: asyncio.Task[None] | None = None
        self._limit = asyncio.timeout(None)
        self._reading = False
        self.cut: DomainError | None = None

    async def run(self) -> None:
        """Serves the stream until its caller half-closes, or it is drained.

        Raises:
            DomainError: if a request fails whose caller wants that, or a drain takes too long.
        """
        if isinstance(self._call, KnownStream):
            self._call.wind_down = self._wind_down
        try:
            async with self._limit, asyncio.TaskGroup() as tasks:
                self._reader = tasks.create_task(self._read(tasks))
                await self._write()
        except TimeoutError:
            raise self.cut or Draining() from None
        finally:
            if self._watch is not None:
                self._watch.closed(self.messages)

    def drain(self, grace_s: float) -> None:
        """Reads nothing more; what was read is answered, within `grace_s` seconds."""
        self._wind(Draining(), grace_s)

    def _wind_down(self) -> None:
        """The credential does not hold any more: a drain, but a short one."""
        self._wind(CredentialExpired(), self._config.credential_grace_s)

    def _wind(self, cut: DomainError, grace_s: float) -> None:
        if self.cut is not None:
            return
        self.cut = cut
        self._limit.reschedule(asyncio.get_running_loop().time() + grace_s)
        if self._reading and self._reader is not None:
            self._reader.cancel()

    # --- reading ------------------------------------------------------------------------------

    async def _read(self, tasks: asyncio.TaskGroup) -> None:
        while self.cut is None:
            data = await self._next()
            if data is END:
                break
            # So many images at most, whatever they are encoded as.
            images = 0 if data is GARBAGE else len(data) // PIXELS
            while self._images and self._images + images > self._most:
                self._room.clear()
                await self._room.wait()
            self._images += images
            pending = _Pending(Frame(self.messages), images)
            self.messages += 1
            pending.task = tasks.create_task(self._answered(data, pending.frame))
            await self._line.put(pending)
        await self._line.put(None)

    async def _next(self) -> Any:
        """The next message, or END; END too, as soon as the stream is to be drained."""
        self._reading = True
        try:
            return await self._call.read()
        except asyncio.CancelledError:
            if self.cut is None or self._limit.expired():
                raise
            return END
        finally:
            self._reading = False

    async def _answered(self, data: Any, frame: Frame) -> bytes | Exception:
        """A response, whatever came of the request; its failure, if that is to end the stream."""
        try:
            checked(data, REQUEST)
            response = await self._inference.infer(data, self._call, frame)
        except Exception as error:
            frame.cause = error
            return error if self._strict else _failed(data, error)
        return b"\x12%b%b" % (varint(len(response)), response)

    # --- writing ------------------------------------------------------------------------------

    async def _write(self) -> None:
        while (pending := await self._line.get()) is not None:
            assert pending.task is not None
            outcome = await pending.task
            self._images -= pending.images
            self._room.set()
            if isinstance(outcome, Exception):
                raise outcome
            await self._call.write(outcome)
            if self._watch is not None:
                self._watch.wrote(pending.frame)


class _Pending:
    """A request that is not answered yet."""

    __slots__ = ("frame", "images", "task")

    def __init__(self, frame: Frame, images: int) -> None:
        self.frame, self.images = frame, images
        self.task: asyncio.Task[bytes | Exception] | None = None


def _failed(data: Any, error: Exception) -> bytes:
    """A response that tells of a failure, and whose."""
    try:
        request_id = parsed(data, REQUEST).id if data is not GARBAGE else ""
    except DomainError:
        request_id = ""
    response: bytes = message("ModelStreamInferResponse")(
        error_message=status_of(error).message, infer_response={"id": request_id}
    ).SerializeToString()
    return response
