"""One call on a connection: what came of it, and a `StreamCall` for its handler."""

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError, Message

from digitserve.server.errors import BadField, MessageTooLong, QueueFull, RateExceeded
from digitserve.server.services import (
    END,
    GARBAGE,
    CallEnded,
    Garbage,
    Method,
    Response,
    serialized,
)
from digitserve.server.statuses import retry_after_ms, status_of
from digitserve.server.transport.http2 import frames
from digitserve.server.transport.http2.frames import ErrorCode, Violation
from digitserve.server.transport.http2.heads import (
    DEADLINE_EXCEEDED,
    OK,
    Head,
    http_block,
    status_block,
)
from digitserve.server.transport.http2.messages import PREFIX_BYTES, MessageReader, Packed

if TYPE_CHECKING:
    from digitserve.server.transport.http2.inbox import Inbox

_NOT_GRPC = b"This is a gRPC server: POST with content-type application/grpc, please.\n"
# Bytes of messages that a handler has not read yet, after which the sender has to wait.
WINDOW = 32 * 1024
# It may have begun before it heard of that.
_SLACK = frames.DEFAULT_WINDOW - WINDOW


class Http2Call:
    """A call, from its head to its end.

    Attributes:
        number: its stream.
        method: what is called.
        task: its handler, if that needs a task.
        over: whether nothing more can be said.
        half_closed: whether the caller has sent all.
        held: bytes that are kept of a message which is not whole, or not asked for yet.
    """

    __slots__ = (
        "_allowed", "_body", "_deadline", "_head", "_inbox", "_messages", "_reader", "_timer",
        "_unread", "_wakes_reader", "_wakes_writer", "bare", "begun", "end", "half_closed", "held",
        "method", "number", "over", "task", "unsent", "window",
    )  # fmt: skip

    def __init__(self, inbox: "Inbox", number: int, head: Head, method: Method, most: int) -> None:
        """Begins; messages of at most so many bytes are taken."""
        self._inbox = inbox
        self._head = head
        self._deadline = None if head.timeout_s is None else time.monotonic() + head.timeout_s
        self._reader = MessageReader(most, head.encoding, self._take)
        self._messages: deque[bytes] = deque()
        self._unread = 0
        self._allowed = WINDOW
        self._body = 0
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_reader: asyncio.Future[None] | None = None
        self._wakes_writer: asyncio.Future[None] | None = None
        self.number = number
        self.method = method
        self.task: asyncio.Task[None] | None = None
        self.over = False
        self.half_closed = False
        self.held = 0
        self.window = inbox.outbox.initial
        self.unsent = bytearray()
        self.begun = False
        self.end: bytes | None = None
        self.bare = bool(head.status)

    # --- for its handler ---------------------------------------------------------------------

    def peer(self) -> str:
        """Who calls."""
        return self._inbox.peer

    def metadata(self, name: str) -> str:
        """What the caller sent under a name."""
        return self._head.metadata.get(name, "")

    def certificate(self) -> str:
        """The name in the caller's certificate."""
        return self._inbox.certificate

    def deadline(self) -> float | None:
        """When the caller stops waiting."""
        return self._deadline

    async def read(self) -> Any:
        """The next message, or GARBAGE, or END."""
        while not self._messages:
            if self.half_closed:
                return END if self._reader.whole() else GARBAGE
            self._wakes_reader = self._inbox.loop.create_future()
            await self._wakes_reader
        message = self._messages.popleft()
        self._unread -= len(message) + PREFIX_BYTES
        self._allow()
        try:
            return self.parsed(message)
        except BadField:  # one that is too long, though, ends the stream, as if it came unpacked
            return GARBAGE

    async def write(self, response: Response) -> None:
        """Sends a message, and waits while the caller takes none."""
        if self._said:
            raise CallEnded
        outbox = self._inbox.outbox
        outbox.message(self, serialized(response))
        while self.unsent or outbox.paused:
            self._wakes_writer = self._inbox.loop.create_future()
            await self._wakes_writer
            if self.over:
                raise CallEnded

    # --- for its inbox -----------------------------------------------------------------------

    def receive(self, payload: bytes, size: int, *, last: bool) -> None:
        """Takes the payload of a DATA frame, which counted for `size` bytes.

        Raises:
            Violation: if it may not come, or not so much of it.
        """
        if self.half_closed:
            raise Violation(ErrorCode.STREAM_CLOSED, "data after its end", self.number)
        self._allowed -= size
        if self._allowed < -_SLACK:
            raise Violation(ErrorCode.FLOW_CONTROL_ERROR, "more than the window", self.number)
        self._body += len(payload)
        self._check_length(last=last)
        if not self.over and self.end is None:  # else nobody wants it
            if payload and not self.bare:
                self._feed(payload)
            if not last and not self._said:
                self._count_held()
                self._allow()
        if last:
            self.close()

    def close(self) -> None:
        """Takes the caller's word that this was all."""
        self.half_closed = True
        if self.held:
            self._let_go()
        if self.over:
            return
        if self.bare:
            self._inbox.outbox.plain(self, http_block(self._head.status), _NOT_GRPC)
        elif self.method.unary is None:
            self._wake_reader()
        elif not self._reader.whole():
            self.fail(BadField("", "NOT_A_MESSAGE", "a message that breaks off"))
        elif self._messages:
            self._inbox.handlers.begin(self, self._messages.popleft())
        else:
            expected = self.method.request.__name__
            self.fail(BadField("", "MESSAGE_MISSING", f"expected a {expected}, got none"))

    def check_length_at_end(self) -> None:
        """Refuses a body that is shorter than the head said."""
        self._check_length(last=True)

    def keep_time(self) -> None:
        """Ends the call at its deadline; for those that are not answered at once."""
        if self._deadline is not None and self._timer is None:
            left = max(0.0, self._deadline - time.monotonic())
            self._timer = self._inbox.loop.call_later(left, self._expire)

    def answer(self, response: Response) -> None:
        """Says the only message, and OK."""
        if not self._said:
            outbox = self._inbox.outbox
            outbox.answer(self, serialized(response))
            if not self.over:  # its caller opens no window
                self.keep_time()
                if outbox.waiting > self._inbox.most_held:
                    self._abandon(ErrorCode.ENHANCE_YOUR_CALM, "too many answers wait for a window")

    def succeed(self) -> None:
        """Says OK."""
        if not self._said:
            self._inbox.outbox.end(self, OK)

    def fail(self, error: BaseException) -> None:
        """Says what went wrong."""
        if self._said:
            return
        # Clients whose service config retries this wait so long first.
        more = []
        if isinstance(error, QueueFull | RateExceeded):
            more = [("grpc-retry-pushback-ms", str(retry_after_ms(error)))]
        block = status_block(status_of(error), more)
        self._inbox.outbox.end(self, block)

    def refuse(self, error: BaseException) -> None:
        """Says what is wrong, whatever its handler is at."""
        self.fail(error)
        if self.task is not None:
            self.task.cancel()

    def cut(self) -> None:
        """Forgets it: its caller is gone, or it is ended from outside."""
        self._finish()
        self._inbox.outbox.forget(self)
        if self.task is not None:
            self.task.cancel()

    def parsed(self, data: bytes) -> Message | Garbage:
        """The message in these bytes.

        Raises:
            MessageTooLong: if it is, once unpacked.
            BadField: if it cannot be unpacked.
        """
        try:
            if type(data) is Packed:
                data = self._reader.unpacked(data)
            return self.method.request.FromString(data)
        except DecodeError:
            return GARBAGE

    # --- for the outbox ----------------------------------------------------------------------

    def sent(self) -> None:
        """Lets the handler write more."""
        if self._wakes_writer is not None and not self._wakes_writer.done():
            self._wakes_writer.set_result(None)

    def ended(self) -> None:
        """Lets go of the call, whose end is out."""
        self._finish()
        self._inbox.ended(self)

    # --- its own -----------------------------------------------------------------------------

    @property
    def _said(self) -> bool:
        """Whether its end is out, or waits behind what is unsent."""
        return self.over or self.end is not None

    def _feed(self, payload: bytes) -> None:
        try:
            self._reader.feed(payload)
        except MessageTooLong as error:
            self.refuse(error)

    def _take(self, message: bytes) -> None:
        if self.method.unary is not None and self._messages:
            expected = self.method.request.__name__
            self.fail(BadField("", "MESSAGE_SURPLUS", f"expected one {expected}, got more"))
            return
        self._messages.append(message)
        self._unread += len(message) + PREFIX_BYTES
        self._wake_reader()

    def _allow(self) -> None:
        """Lets the caller send more, if there is room for a good deal more."""
        if self.half_closed:
            return
        unread = self._unread if self.method.unary is None else 0
        room = WINDOW - unread - self._allowed
        if room >= WINDOW // 2:
            self._allowed += room
            self._inbox.outbox.put(frames.window_update(self.number, room))

    def _count_held(self) -> None:
        held = self._reader.unfinished + (self._unread if self.method.unary is not None else 0)
        self._inbox.held += held - self.held
        self.held = held
        if self._inbox.held > self._inbox.most_held:
            self.refuse(MessageTooLong("too many unfinished messages on this connection"))

    def _check_length(self, *, last: bool) -> None:
        length = self._head.length
        if length is not None and (self._body > length or (last and self._body < length)):
            raise Violation(ErrorCode.PROTOCOL_ERROR, "content-length does not hold", self.number)

    def _wake_reader(self) -> None:
        if self._wakes_reader is not None and not self._wakes_reader.done():
            self._wakes_reader.set_result(None)

    def _expire(self) -> None:
        if self.unsent:  # its end would wait behind that
            self._abandon(ErrorCode.CANCEL, "the deadline passed, and no window was opened")
        elif not self._said:
            self._inbox.outbox.end(self, DEADLINE_EXCEEDED)
            if self.task is not None:
                self.task.cancel()

    def _abandon(self, code: ErrorCode, why: str) -> None:
        self._inbox.reset(Violation(code, why, self.number))

    def _let_go(self) -> None:
        """Counts no more what is whole now: its handler has it, and admission counts that."""
        self._inbox.held -= self.held
        self.held = 0

    def _finish(self) -> None:
        self.over = True
        if self.held:
            self._let_go()
        self._messages.clear()
        if self._timer is not None:
            self._timer.cancel()
        self.sent()
