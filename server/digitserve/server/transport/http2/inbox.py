"""What a connection receives: frames in order, and what each of them means to a call.

    frames ──▶ heads ──▶ a call each ──▶ handlers
         └───▶ data  ──▶ messages of a call

Whatever a peer sends is taken as RFC 9113 lays down, or is a `Violation`; what is kept for it is
bounded.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from google.protobuf.empty_pb2 import Empty

from digitserve.server.errors import (
    CompressionUnknown,
    DomainError,
    Draining,
    MetadataTooLong,
    MethodUnknown,
)
from digitserve.server.services import Method
from digitserve.server.texts import abridged
from digitserve.server.transport.http2 import frames, heads
from digitserve.server.transport.http2.call import WINDOW, Http2Call
from digitserve.server.transport.http2.frames import ErrorCode, Violation
from digitserve.server.transport.http2.heads import Head, HeadReader
from digitserve.server.transport.http2.messages import ENCODINGS
from digitserve.server.transport.http2.outbox import Outbox

if TYPE_CHECKING:
    from digitserve.server.transport.http2.server import Http2Server

# Calls that may be open at once on a connection; more wait at the caller.  This alone bounds those
# that have no deadline and are never half-closed: each holds some 2 kB, and what it has sent.
MAX_CALLS = 1024
# Each call has a window of its own; that of the connection only has to be no hindrance.
_CONNECTION_WINDOW = 4 * 1024 * 1024
# Bytes of one header block, as they come.
_MOST_BLOCK = 32 * 1024

GREETING = frames.settings(
    {
        frames.MAX_CONCURRENT_STREAMS: MAX_CALLS,
        frames.INITIAL_WINDOW_SIZE: WINDOW,
        frames.MAX_HEADER_LIST_SIZE: heads.MAX_HEAD_BYTES,
    }
) + frames.window_update(0, _CONNECTION_WINDOW - frames.DEFAULT_WINDOW)

_NO_METHOD = Method(Empty)


class Inbox:
    """The receiving half of a connection, and its calls.

    Attributes:
        loop: where it lives.
        handlers: what runs its calls.
        outbox: what it sends.
        peer: who is at the other end.
        certificate: the name that it proved; empty if none.
        held: bytes of messages that are not whole yet, over all calls.
        most_held: how many there may be.
        settled: whether the peer has said how it wants things.
        refusing: whether new calls are refused.
        last: the highest stream so far.
    """

    def __init__(
        self,
        server: "Http2Server",
        outbox: Outbox,
        known: tuple[str, str],
        emptied: Callable[[], None],
        ponged: Callable[[], None],
    ) -> None:
        """Takes what a client of `server` sends.

        Args:
            server: knows what can be called.
            outbox: the other half.
            known: who is at the other end, and the name that its certificate proves.
            emptied: told when the last open call has ended; any, once new ones are refused.
            ponged: told when the client answers a PING.
        """
        self.loop = asyncio.get_running_loop()
        self.handlers = server.handlers
        self.outbox = outbox
        self.peer, self.certificate = known
        self.held = 0
        self.most_held = 4 * server.max_message_bytes
        self.settled = self.refusing = False
        self.last = 0
        self._server = server
        self._emptied = emptied
        self._ponged = ponged
        self._heads = HeadReader()
        self._calls: dict[int, Http2Call] = {}
        self._young: list[Http2Call] = []  # of this slice, with a deadline and more to come
        self._block: tuple[int, int, bytes] | None = None  # stream, flags, what there is of it
        self._taken = 0  # bytes that the connection's window is to be opened by

    @property
    def busy(self) -> bool:
        """Whether there is a call that comes to an end by itself."""
        return not all(call.method.endless for call in self._calls.values())

    def take_leave(self) -> None:
        """Ends what would never end by itself."""
        for call in list(self._calls.values()):
            call.refuse(Draining())

    def go_on(self) -> None:
        """The socket takes more: lets handlers write."""
        for call in list(self._calls.values()):
            call.sent()

    def keep_time(self) -> None:
        """Minds the deadlines of the calls that a slice began and did not end."""
        for call in self._young:
            if not call.half_closed and not call.over:
                call.keep_time()
        self._young.clear()

    def cut(self) -> None:
        """Ends every call."""
        for call in list(self._calls.values()):
            call.cut()
        self._calls.clear()

    def reset(self, error: Violation) -> None:
        """Ends one stream, saying why."""
        self.outbox.put(frames.rst_stream(error.stream, error.code))
        if (call := self._calls.get(error.stream)) is not None:
            call.cut()
            self._forget(call)

    def ended(self, call: Http2Call) -> None:
        """Forgets a call whose end is out."""
        if not call.half_closed:  # the rest of it is not wanted
            self.outbox.put(frames.rst_stream(call.number, ErrorCode.NO_ERROR))
        self._forget(call)

    # --- frames --------------------------------------------------------------------------------

    def take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        """Takes a frame.

        Raises:
            Violation: if it may not come, or not like that.
        """
        if not self.settled or self._block is not None:
            self._check_order(kind, flags, stream)
        if kind == frames.DATA:
            self._take_data(flags, stream, payload)
        elif kind == frames.HEADERS:
            self._take_headers(flags, stream, payload)
        elif kind == frames.WINDOW_UPDATE:
            self._take_window_update(stream, frames.number_in(payload))
        elif kind == frames.CONTINUATION:
            self._take_continuation(flags, stream, payload)
        elif kind == frames.RST_STREAM:
            self._take_rst_stream(stream, payload)
        elif kind == frames.PRIORITY:
            self._numbered(stream)
            frames.check_priority(payload, stream)
        else:
            self._take_of_connection(kind, flags, stream, payload)

    def _check_order(self, kind: int, flags: int, stream: int) -> None:
        if not self.settled and (kind != frames.SETTINGS or flags & frames.ACK):
            raise Violation(ErrorCode.PROTOCOL_ERROR, "expected SETTINGS first")
        if self._block is not None and (kind != frames.CONTINUATION or stream != self._block[0]):
            raise Violation(ErrorCode.PROTOCOL_ERROR, "expected CONTINUATION")

    def _take_data(self, flags: int, stream: int, payload: bytes) -> None:
        size = len(payload)
        self._taken += size
        if self._taken >= _CONNECTION_WINDOW // 2:
            self.outbox.put(frames.window_update(0, self._taken))
            self._taken = 0
        if flags & frames.PADDED:
            payload = frames.unpadded(payload)
        call = self._calls.get(stream)
        if call is None:
            self._numbered(stream, known=True)
            raise Violation(ErrorCode.STREAM_CLOSED, "data for a call that is over", stream)
        call.receive(payload, size, last=bool(flags & frames.END_STREAM))

    def _take_headers(self, flags: int, stream: int, payload: bytes) -> None:
        self._numbered(stream)
        if flags & frames.PADDED:
            payload = frames.unpadded(payload)
        if flags & frames.WITH_PRIORITY:
            payload = frames.without_priority(payload, stream)
        self._block = (stream, flags, payload)
        if flags & frames.END_HEADERS:
            self._take_block()

    def _take_continuation(self, flags: int, stream: int, payload: bytes) -> None:
        if self._block is None:
            raise Violation(ErrorCode.PROTOCOL_ERROR, "CONTINUATION of nothing")
        if not payload and not flags & frames.END_HEADERS:
            raise Violation(ErrorCode.ENHANCE_YOUR_CALM, "an empty CONTINUATION")
        _, flags_before, block = self._block
        if len(block) + len(payload) > _MOST_BLOCK:
            raise Violation(ErrorCode.ENHANCE_YOUR_CALM, "the head is too long")
        self._block = (stream, flags_before, block + payload)
        if flags & frames.END_HEADERS:
            self._take_block()

    def _take_window_update(self, stream: int, more: int) -> None:
        if not stream:
            if not more:
                raise Violation(ErrorCode.PROTOCOL_ERROR, "a window opened by nothing")
            self.outbox.open(more)
            return
        self._numbered(stream, known=True)
        if not more:
            raise Violation(ErrorCode.PROTOCOL_ERROR, "a window opened by nothing", stream)
        if (call := self._calls.get(stream)) is not None:
            self.outbox.open_call(call, more)

    def _take_rst_stream(self, stream: int, payload: bytes) -> None:
        frames.number_in(payload)
        self._numbered(stream, known=True)
        if (call := self._calls.get(stream)) is not None:
            call.cut()
            self._forget(call)

    def _take_of_connection(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind > frames.CONTINUATION:
            return  # what is not known is not minded
        if kind == frames.PUSH_PROMISE:
            raise Violation(ErrorCode.PROTOCOL_ERROR, "PUSH_PROMISE from a client")
        if stream:
            raise Violation(ErrorCode.PROTOCOL_ERROR, f"frame {kind} on a stream")
        if kind == frames.SETTINGS:
            self._take_settings(flags, payload)
        elif kind == frames.PING:
            if len(payload) != 8:
                raise Violation(ErrorCode.FRAME_SIZE_ERROR, "a PING has 8 bytes")
            if flags & frames.ACK:
                self._ponged()
            else:
                self.outbox.put(frames.frame(frames.PING, frames.ACK, 0, payload))

    def _take_settings(self, flags: int, payload: bytes) -> None:
        if len(payload) % frames.SETTING.size or (flags & frames.ACK and payload):
            raise Violation(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS of a wrong length")
        if flags & frames.ACK:
            return
        self.outbox.put(frames.frame(frames.SETTINGS, frames.ACK, 0))
        self.outbox.settle(frames.SETTING.iter_unpack(payload), list(self._calls.values()))
        self.settled = True

    # --- calls ---------------------------------------------------------------------------------

    def _take_block(self) -> None:
        assert self._block is not None
        stream, flags, block = self._block
        self._block = None
        if (call := self._calls.get(stream)) is not None:
            self._heads.skip(block)
            if call.half_closed:
                raise Violation(ErrorCode.STREAM_CLOSED, "a head after its end", stream)
            if not flags & frames.END_STREAM:
                raise Violation(ErrorCode.PROTOCOL_ERROR, "a second head", stream)
            call.check_length_at_end()
            call.close()
            return
        if stream <= self.last:
            # Its table would be another one from here on: no way to read on.
            raise Violation(ErrorCode.STREAM_CLOSED, "a head for a call that is over")
        self.last = stream
        head = self._heads.read(block, stream)
        if self.refusing or len(self._calls) >= MAX_CALLS:
            raise Violation(ErrorCode.REFUSED_STREAM, "no more calls here", stream)
        self._begin(stream, head, last=bool(flags & frames.END_STREAM))

    def _begin(self, stream: int, head: Head, *, last: bool) -> None:
        method = self._server.methods.get(head.path)
        call = Http2Call(self, stream, head, method or _NO_METHOD, self._server.max_message_bytes)
        self._calls[stream] = call
        if last:
            call.check_length_at_end()
        elif head.timeout_s is not None:
            self._young.append(call)
        if not head.status:
            if (error := _refusal(head, method)) is not None:
                call.half_closed = last
                call.fail(error)
            elif call.method.unary is None:
                self.handlers.begin_stream(call)
        if last:
            call.close()

    def _forget(self, call: Http2Call) -> None:
        self._calls.pop(call.number, None)
        if not self._calls or self.refusing:
            self._emptied()

    def _numbered(self, stream: int, *, known: bool = False) -> None:
        """Refuses numbers that a client may not use, or, of those it must have, has not yet."""
        if stream % 2 == 0 or (known and stream > self.last):
            raise Violation(ErrorCode.PROTOCOL_ERROR, f"stream {stream} may not be used so")


def _refusal(head: Head, method: Method | None) -> DomainError | None:
    """Why a call does not reach its handler, if it does not."""
    if method is None:
        return MethodUnknown(abridged(head.path))
    if head.too_long:
        return MetadataTooLong(heads.MAX_HEAD_BYTES)
    if head.encoding not in ENCODINGS:
        return CompressionUnknown(abridged(head.encoding))
    return None
