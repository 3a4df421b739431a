"""One connection: its bytes taken apart into frames, and frames into calls.

    socket ──▶ frames ──▶ heads ──▶ a call each ──▶ handlers
                    └───▶ data  ──▶ messages of a call

Python's `h2` does all this too, for 119 µs a call (docs/decisions/0010); this does what gRPC needs.
Whatever a peer sends, it is answered as RFC 9113 lays down or the connection is ended; what is
kept for it is bounded.
"""

import asyncio
import time
from typing import TYPE_CHECKING, cast

from google.protobuf.empty_pb2 import Empty

from digitserve.server.errors import (
    CompressionUnknown,
    DomainError,
    MetadataTooLong,
    MethodUnknown,
)
from digitserve.server.services import Method
from digitserve.server.transport.http2 import frames, heads
from digitserve.server.transport.http2.call import WINDOW, Http2Call
from digitserve.server.transport.http2.frames import ErrorCode, Violation
from digitserve.server.transport.http2.heads import Head, HeadReader
from digitserve.server.transport.http2.messages import ENCODINGS
from digitserve.server.transport.http2.outbox import Outbox

if TYPE_CHECKING:
    from digitserve.server.transport.http2.server import Http2Server

# Calls that may be open at once on a connection; more wait at the caller.
MAX_CALLS = 1024
# A message of 20 images fits one frame.
_FRAME_SIZE = frames.DEFAULT_FRAME_SIZE
# Each call has a window of its own; that of the connection only has to be no hindrance.
_CONNECTION_WINDOW = 4 * 1024 * 1024
# Bytes of one header block, as they come.
_MOST_BLOCK = 32 * 1024
# Seconds for a client to say that it speaks HTTP/2.
_GREETING_S = 20.0
# Seconds that the frames of one connection may take before others have a turn.
_SLICE_S = 0.001
# Bytes that wait for a turn, above which nothing more is read.
_MOST_WAITING = 256 * 1024

_GREETING = frames.settings(
    {
        frames.MAX_CONCURRENT_STREAMS: MAX_CALLS,
        frames.INITIAL_WINDOW_SIZE: WINDOW,
        frames.MAX_HEADER_LIST_SIZE: heads.MAX_HEAD_BYTES,
    }
) + frames.window_update(0, _CONNECTION_WINDOW - frames.DEFAULT_WINDOW)

_NO_METHOD = Method(Empty)
_HTTP_1 = (
    b"HTTP/1.1 505 HTTP Version Not Supported\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
)
_METHODS_1 = (b"GET ", b"POST", b"HEAD", b"PUT ", b"OPTI")


class Connection(asyncio.Protocol):
    """A client's connection.

    Attributes:
        loop: where it lives.
        handlers: what runs its calls.
        outbox: what it sends.
        peer: who is at the other end.
        certificate: the name that it proved; empty if none.
        held: bytes of messages that are not whole yet, over all calls.
        most_held: how many there may be.
    """

    outbox: Outbox

    def __init__(self, server: "Http2Server") -> None:
        """Serves a client of `server`."""
        self.loop = asyncio.get_running_loop()
        self.handlers = server.handlers
        self.peer = self.certificate = ""
        self.held = 0
        self.most_held = 4 * server.max_message_bytes
        self._server = server
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._heads = HeadReader()
        self._calls: dict[int, Http2Call] = {}
        self._last = 0  # the highest stream so far
        self._rest = b""
        self._again: asyncio.Handle | None = None
        self._greeted = self._settled = False
        self._refusing = self._closing = False
        self._block: tuple[int, int, bytes] | None = None  # stream, flags, what there is of it
        self._taken = 0  # bytes that the connection's window is to be opened by
        self._waiting: asyncio.TimerHandle | None = None

    # --- asyncio.Protocol --------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greets, and waits for the client's greeting."""
        self._transport = cast("asyncio.Transport", transport)
        chosen = self._transport.get_extra_info("ssl_object")
        if chosen is not None and chosen.selected_alpn_protocol() != "h2":
            self._transport.abort()  # as RFC 9113 wants of TLS
        self.outbox = Outbox(self._transport)
        self.peer, self.certificate = self._server.known(self._transport)
        self._server.connections.add(self)
        self._waiting = self.loop.call_later(_GREETING_S, self._transport.abort)
        self._transport.write(_GREETING)

    def data_received(self, data: bytes) -> None:
        """Takes what came, unless there is something that waits for its turn."""
        if self._rest:
            data = self._rest + data
        if self._again is None:
            self._take(data)
            return
        self._rest = data
        if len(data) > _MOST_WAITING:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Closes: nobody reads what is not answered yet."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's name
        """Lets go of everything."""
        self._closing = True
        if self._waiting is not None:
            self._waiting.cancel()
        if self._again is not None:
            self._again.cancel()
        for call in list(self._calls.values()):
            call.cut()
        self._calls.clear()
        self._server.lost(self)

    def pause_writing(self) -> None:
        """Reads no more of somebody who does not read."""
        self.outbox.paused = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Goes on."""
        self.outbox.paused = False
        if self._again is None:
            self._transport.resume_reading()
        for call in list(self._calls.values()):
            call.sent()

    # --- for the server and the calls ----------------------------------------------------------

    @property
    def calls(self) -> int:
        """How many calls are open."""
        return len(self._calls)

    def refuse(self) -> None:
        """Takes no new calls; closes when the last one has ended."""
        if not self._refusing:
            self._refusing = True
            self.outbox.put(frames.goaway(self._last, ErrorCode.NO_ERROR))
            self._close_if_done()

    def cut(self) -> None:
        """Ends it now."""
        self.outbox.flush()
        for call in list(self._calls.values()):
            call.cut()
        self._transport.close()

    def abort(self) -> None:
        """Ends it without another word."""
        self._transport.abort()

    def ended(self, call: Http2Call) -> None:
        """Forgets a call whose end is out."""
        if not call.half_closed:  # the rest of it is not wanted
            self.outbox.put(frames.rst_stream(call.number, ErrorCode.NO_ERROR))
        self._forget(call)

    # --- frames --------------------------------------------------------------------------------

    def _take(self, data: bytes) -> None:
        self.outbox.hold()
        try:
            self._rest = data[self._take_frames(data) :]
        except Violation as error:
            self._end(error)
        finally:
            self.outbox.flush()
            if self._closing:
                self._transport.close()

    def _go_on(self) -> None:
        """Takes what had to wait for its turn."""
        self._again = None
        if not self._closing:
            rest, self._rest = self._rest, b""
            self._take(rest)
            if self._again is None and not self.outbox.paused:
                self._transport.resume_reading()

    def _take_frames(self, data: bytes) -> int:
        """Takes whole frames; says where the rest begins."""
        at = 0 if self._greeted else self._greet(data)
        end, until = len(data), time.monotonic() + _SLICE_S
        while end - at >= frames.HEAD_BYTES and not self._closing:
            head, flags, stream = frames.HEAD.unpack_from(data, at)
            if head >> 8 > _FRAME_SIZE:
                raise Violation(ErrorCode.FRAME_SIZE_ERROR, f"a frame of {head >> 8} bytes")
            start = at + frames.HEAD_BYTES
            stop = start + (head >> 8)
            if stop > end:
                break
            at = stop
            try:
                self._take_frame(
                    head & 255, flags, stream & frames.LARGEST_NUMBER, data[start:stop]
                )
            except Violation as error:
                if not error.stream:
                    raise
                self._reset(error)
            if time.monotonic() > until and end - at >= frames.HEAD_BYTES:
                self._again = self.loop.call_soon(self._go_on)
                break
        return at

    def _greet(self, data: bytes) -> int:
        """Looks for the preface; says where the frames begin."""
        size = len(frames.PREFACE)
        if not data.startswith(frames.PREFACE[: len(data)]):
            if data.startswith(_METHODS_1):
                self._transport.write(_HTTP_1)
            raise Violation(ErrorCode.PROTOCOL_ERROR, "no HTTP/2 preface")
        if len(data) < size:
            return 0
        self._greeted = True
        return size

    def _take_frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if not self._settled or self._block is not None:
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
        if not self._settled and (kind != frames.SETTINGS or flags & frames.ACK):
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
            payload = frames.without_priority(payload, 0 if stream in self._calls else stream)
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
            if not flags & frames.ACK:
                self.outbox.put(frames.frame(frames.PING, frames.ACK, 0, payload))

    def _take_settings(self, flags: int, payload: bytes) -> None:
        if len(payload) % frames.SETTING.size or (flags & frames.ACK and payload):
            raise Violation(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS of a wrong length")
        if flags & frames.ACK:
            return
        self.outbox.put(frames.frame(frames.SETTINGS, frames.ACK, 0))
        for name, value in frames.SETTING.iter_unpack(payload):
            self.outbox.settle(name, value, list(self._calls.values()))
        if not self._settled:
            self._settled = True
            if self._waiting is not None:
                self._waiting.cancel()

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
        if stream <= self._last:
            # Its table would be another one from here on: no way to read on.
            raise Violation(ErrorCode.STREAM_CLOSED, "a head for a call that is over")
        self._last = stream
        head = self._heads.read(block, stream)
        if self._refusing or len(self._calls) >= MAX_CALLS:
            raise Violation(ErrorCode.REFUSED_STREAM, "no more calls here", stream)
        self._begin(stream, head, last=bool(flags & frames.END_STREAM))

    def _begin(self, stream: int, head: Head, *, last: bool) -> None:
        method = self._server.methods.get(head.path)
        call = Http2Call(self, stream, head, method or _NO_METHOD, self._server.max_message_bytes)
        self._calls[stream] = call
        if last:
            call.check_length_at_end()
        if not head.status:
            if (error := _refusal(head, method)) is not None:
                call.half_closed = last
                call.fail(error)
            elif call.method.unary is None:
                self.handlers.begin_stream(call)
        if last:
            call.close()

    def _reset(self, error: Violation) -> None:
        """Ends one stream."""
        self.outbox.put(frames.rst_stream(error.stream, error.code))
        if (call := self._calls.get(error.stream)) is not None:
            call.cut()
            self._forget(call)

    def _end(self, error: Violation) -> None:
        """Ends the connection, saying why."""
        self._closing = True
        self.outbox.put(frames.goaway(self._last, error.code, str(error)))

    def _forget(self, call: Http2Call) -> None:
        self._calls.pop(call.number, None)
        self._close_if_done()

    def _close_if_done(self) -> None:
        if self._refusing and not self._calls:
            self.loop.call_soon(self.cut)

    def _numbered(self, stream: int, *, known: bool = False) -> None:
        """Refuses numbers that a client may not use, or, of those it must have, has not yet."""
        if stream % 2 == 0 or (known and stream > self._last):
            raise Violation(ErrorCode.PROTOCOL_ERROR, f"stream {stream} may not be used so")


def _refusal(head: Head, method: Method | None) -> DomainError | None:
    """Why a call does not reach its handler, if it does not."""
    if method is None:
        return MethodUnknown(head.path)
    if head.too_long:
        return MetadataTooLong(heads.MAX_HEAD_BYTES)
    if head.encoding not in ENCODINGS:
        return CompressionUnknown(head.encoding)
    return None
