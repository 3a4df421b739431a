"""ModelStreamInfer: a response for each request, in their order, several in flight.

    requests ──▶ read ──▶ [ tasks, oldest first ] ──▶ write ──▶ responses

A request that is wrong fails alone, in a response with its id.  A caller that sent the metadata
`triton_grpc_error: true` wants a failure to end the stream, with its status.  Nothing in the
protocol tells a caller to leave: at a drain what was read is answered, and then the stream ends
UNAVAILABLE, so that whoever sent more knows that it was not taken.
"""

import asyncio
from typing import Any, NamedTuple

from digitserve.server.adapters.open_inference.infer import REQUEST, Inference
from digitserve.server.adapters.open_inference.messages import message
from digitserve.server.codec import PIXELS
from digitserve.server.config import Config
from digitserve.server.errors import CredentialExpired, DomainError, Draining
from digitserve.server.observe.observer import Observer
from digitserve.server.services import END, GARBAGE, StreamCall, checked, parsed
from digitserve.server.services.known import KnownStream
from digitserve.server.services.window import Frame
from digitserve.server.statuses import status_of
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
        # Bounded by what is let in: its end is always put there at once.
        self._line: asyncio.Queue[_Pending | None] = asyncio.Queue()
        self._requests = self._images = 0  # in it
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
            await self._room_for(1)
            if self.cut is not None:  # meanwhile; nothing would wake a reader any more
                break
            data = await self._next()
            if data is END:
                break
            # So many images at most, whatever they are encoded as.
            images = 0 if data is GARBAGE else len(data) // PIXELS
            await self._room_for(images)
            self._requests += 1
            self._images += images
            frame = Frame(self.messages)
            self.messages += 1
            task = tasks.create_task(self._answered(data, frame))
            self._line.put_nowait(_Pending(frame, images, task))
        self._line.put_nowait(None)

    async def _room_for(self, images: int) -> None:
        """Waits until one more request of so many images may be under way; one alone may be."""
        config = self._config
        while self._requests and (
            self._requests >= config.max_in_flight_frames
            or self._images + images > config.max_in_flight_images
        ):
            self._room.clear()
            await self._room.wait()

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
            outcome = await pending.task
            self._requests -= 1
            self._images -= pending.images
            self._room.set()
            if isinstance(outcome, Exception):
                raise outcome
            await self._call.write(outcome)
            if self._watch is not None:
                self._watch.wrote(pending.frame)


class _Pending(NamedTuple):
    """A request that is not answered yet.

    Attributes:
        frame: what is told of it.
        images: how many it has at most.
        task: gives its response.
    """

    frame: Frame
    images: int
    task: "asyncio.Task[bytes | Exception]"


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
