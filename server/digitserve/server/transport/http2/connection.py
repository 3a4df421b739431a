"""One connection, from its greeting to its last bytes: what comes is cut into frames.

    socket ──▶ slices of a millisecond ──▶ frames ──▶ inbox ──▶ calls
    socket ◀── one write for all that a slice brought ◀── outbox ◀┘

Python's `h2` does all this too, for 119 µs a call (docs/decisions/0010); this does what gRPC needs.
"""

import asyncio
import random
import time
from typing import TYPE_CHECKING, cast

from digitserve.server.transport.http2 import frames
from digitserve.server.transport.http2.frames import ErrorCode, Violation
from digitserve.server.transport.http2.inbox import GREETING, Inbox
from digitserve.server.transport.http2.outbox import Outbox

if TYPE_CHECKING:
    from digitserve.server.transport.http2.server import Http2Server

# A message of 20 images fits one frame.
_FRAME_SIZE = frames.DEFAULT_FRAME_SIZE
# Seconds for a client to say that it speaks HTTP/2.
_GREETING_S = 20.0
# Seconds that the frames of one connection may take before others have a turn.
_SLICE_S = 0.001
# Bytes that wait for a turn, above which nothing more is read.
_MOST_WAITING = 256 * 1024
# Seconds for a peer to hear that it is to go elsewhere, before new calls are refused all the same.
_RETIRING_S = 5.0
# Seconds for a peer that may be slow to take what was said last, and to close.
_PARTING_S = 5.0

_HTTP_1 = (
    b"HTTP/1.1 505 HTTP Version Not Supported\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
)
_METHODS_1 = (b"GET ", b"POST", b"HEAD", b"PUT ", b"OPTI")


class Connection(asyncio.Protocol):
    """A client's connection.

    Attributes:
        outbox: what it sends.
        inbox: what it receives, and its calls.
    """

    _transport: asyncio.Transport
    outbox: Outbox
    inbox: Inbox

    def __init__(self, server: "Http2Server") -> None:
        """Serves a client of `server`."""
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._rest = b""
        self._again: asyncio.Handle | None = None
        self._promised = frames.LARGEST_NUMBER  # the last stream that is looked at
        self._greeted = self._closing = self._retiring = False
        self._waiting: asyncio.TimerHandle | None = None
        self._ageing: asyncio.TimerHandle | None = None

    # --- asyncio.Protocol --------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greets, and waits for the client's greeting."""
        self._transport = cast("asyncio.Transport", transport)
        chosen = self._transport.get_extra_info("ssl_object")
        if chosen is not None and chosen.selected_alpn_protocol() != "h2":
            self._transport.abort()  # as RFC 9113 wants of TLS
        self.outbox = Outbox(self._transport)
        known = self._server.known(self._transport)
        self.inbox = Inbox(self._server, self.outbox, known, self._close_if_done, self._ponged)
        self._server.connections.add(self)
        self._waiting = self._loop.call_later(_GREETING_S, self._transport.abort)
        # With jitter: who came together is not to come back together.
        age_s = self._server.max_age_s * random.uniform(0.9, 1.1)  # noqa: S311 - not a secret
        self._ageing = self._loop.call_later(age_s, self._retire)
        if self._server.stopping:  # it was accepted before, and is heard of only now
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Takes what came, unless there is something that waits for its turn."""
        if self._closing:
            return
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
        if self._ageing is not None:
            self._ageing.cancel()
        self.inbox.cut()
        self._server.lost(self)

    def pause_writing(self) -> None:
        """Reads no more of somebody who does not read."""
        self.outbox.paused = True
        if not self._closing:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Goes on."""
        self.outbox.paused = False
        if self._closing:
            self._loop.call_soon(self._half_close)
            return
        if self._again is None:
            self._again = self._loop.call_soon(self._go_on)
        self.inbox.go_on()

    # --- for the server ------------------------------------------------------------------------

    @property
    def parting(self) -> bool:
        """Whether it has no calls any more, and is about to close."""
        return self._closing

    def refuse(self) -> None:
        """Takes no new calls; closes when the last one has ended."""
        inbox = self.inbox
        if not inbox.refusing and not self._closing:
            inbox.refusing = True
            self._promised = inbox.last
            if not self._greeted:
                self._part()
                return
            self.outbox.put(frames.goaway(inbox.last, ErrorCode.NO_ERROR))
            self._close_if_done()

    def _retire(self) -> None:
        """Sends its client elsewhere: it looks up anew who serves.

        What is on its way is still taken: that there is no more of it an answered PING tells.
        """
        if not self._greeted or self.inbox.refusing or self._closing:
            self.refuse()
            return
        self._retiring = True
        self.outbox.put(frames.goaway(frames.LARGEST_NUMBER, ErrorCode.NO_ERROR, "max_age"))
        self.outbox.put(frames.frame(frames.PING, 0, 0, bytes(8)))
        self._ageing = self._loop.call_later(_RETIRING_S, self.refuse)

    def _ponged(self) -> None:
        if self._retiring:
            self.refuse()

    def cut(self) -> None:
        """Ends it now."""
        self._closing = True
        self.outbox.flush()
        self.inbox.cut()
        self._transport.close()

    def abort(self) -> None:
        """Ends it without another word."""
        self._transport.abort()

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
                self._part()
            elif self._waiting is not None and self.inbox.settled:
                self._waiting.cancel()
                self._waiting = None
            self.inbox.keep_time()

    def _go_on(self) -> None:
        """Takes what had to wait for its turn."""
        self._again = None
        # Answers that nobody reads are not made: `resume_writing` comes back to it.
        if not self._closing and not self.outbox.paused:
            rest, self._rest = self._rest, b""
            self._take(rest)
            if self._again is None and not self.outbox.paused:
                self._transport.resume_reading()

    def _take_frames(self, data: bytes) -> int:
        """Takes whole frames; says where the rest begins."""
        at = 0
        if not self._greeted:
            at = self._greet(data)
            if not self._greeted:
                return at
        take, end, until = self.inbox.take, len(data), time.monotonic() + _SLICE_S
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
                take(head & 255, flags, stream & frames.LARGEST_NUMBER, data[start:stop])
            except Violation as error:
                if not error.stream:
                    raise
                self.inbox.reset(error)
            if time.monotonic() > until and end - at >= frames.HEAD_BYTES:
                self._again = self._loop.call_soon(self._go_on)
                break
        return at

    def _greet(self, data: bytes) -> int:
        """Looks for the preface; says where the frames begin."""
        size = len(frames.PREFACE)
        if not data.startswith(frames.PREFACE[: len(data)]):
            if any(each.startswith(data[: len(each)]) for each in _METHODS_1):
                if len(data) < len(_METHODS_1[0]):
                    return 0
                self._transport.write(_HTTP_1)
                self._closing = True
                return len(data)
            self._transport.write(GREETING)
            raise Violation(ErrorCode.PROTOCOL_ERROR, "no HTTP/2 preface")
        if len(data) < size:
            return 0
        self._greeted = True
        self._transport.write(GREETING)  # not before: HTTP/1 could make nothing of it
        return size

    # --- the end -------------------------------------------------------------------------------

    def _end(self, error: Violation) -> None:
        """Ends the connection, saying why."""
        self._closing = True
        last = min(self.inbox.last, self._promised)
        self.outbox.put(frames.goaway(last, error.code, str(error)))
        self.inbox.cut()

    def _part(self) -> None:
        """Closes once the peer has: bytes that were not read would take back what was said last."""
        self._closing = True
        self._server.parted()
        if self._transport.is_closing() or self.outbox.closed:
            return
        self.outbox.flush()
        self.outbox.closed = True
        if self._waiting is not None:
            self._waiting.cancel()
        self._waiting = self._loop.call_later(_PARTING_S, self._transport.abort)
        if not self._transport.can_write_eof():
            self._transport.close()
            return
        self._transport.resume_reading()
        if self._transport.get_write_buffer_size():
            self._transport.set_write_buffer_limits(0)  # `resume_writing` tells when it is out
        else:
            self._half_close()

    def _half_close(self) -> None:
        if self._transport.is_closing():
            return
        try:
            self._transport.write_eof()
        except OSError:  # the peer has gone meanwhile
            self._transport.abort()

    def _close_if_done(self) -> None:
        if self.inbox.refusing and not self.inbox.busy:
            self._loop.call_soon(self._leave)

    def _leave(self) -> None:
        self.inbox.take_leave()
        self._part()
