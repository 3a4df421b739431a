"""What a connection sends: frames in order, as many as the peer's windows let through.

    answers ──▶ [ unsent of each call ] ──▶ windows ──▶ [ frames ] ──▶ one write to the socket

What one turn of the event loop brings is written together.
"""

import asyncio
import struct
from typing import Protocol

from digitserve.server.transport.http2 import frames
from digitserve.server.transport.http2.frames import ErrorCode, Violation, frame
from digitserve.server.transport.http2.heads import ANSWER, OK

# The head of a DATA frame, and of the message in it: its flag and its length.
_MESSAGE = struct.Struct(">IBIBI")
_PREFIX = struct.Struct(">BI")
_ANSWER_HEAD = struct.Struct(">IBI").pack(len(ANSWER) << 8 | frames.HEADERS, frames.END_HEADERS, 0)
_LAST = frames.END_HEADERS | frames.END_STREAM
_OK_HEAD = struct.Struct(">IBI").pack(len(OK) << 8 | frames.HEADERS, _LAST, 0)


class Sender(Protocol):
    """What a call must remember of its sending.

    Attributes:
        number: its stream.
        window: how many bytes the peer takes of it.
        unsent: what waits for a window.
        begun: whether the head of its answer is out.
        end: the block that ends it once all is sent; None: not yet.
        bare: whether its last bytes end it, and no block.
    """

    number: int
    window: int
    unsent: bytearray
    begun: bool
    end: bytes | None
    bare: bool

    def sent(self) -> None:
        """Told when nothing is unsent any more."""
        ...

    def ended(self) -> None:
        """Told when its end is sent."""
        ...


class Outbox:
    """The sending half of a connection.

    Attributes:
        window: how many bytes the peer takes, over all calls.
        initial: how many it takes of a new call.
        paused: whether the socket takes nothing more for now.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._frames: list[bytes] = []
        self._blocked: dict[Sender, None] = {}  # in order
        self._frame_size = frames.DEFAULT_FRAME_SIZE
        self._flushing = False
        self.window = self.initial = frames.DEFAULT_WINDOW
        self.paused = False

    def put(self, data: bytes) -> None:
        """Sends frames that no window holds back."""
        self._frames.append(data)
        self.flush_soon()

    def message(self, call: Sender, message: bytes) -> None:
        """Sends a message of a call."""
        if not call.begun:
            self._begin(call)
        size = len(message) + _PREFIX.size
        fits = size <= call.window and size <= self.window and size <= self._frame_size
        if fits and not call.unsent:
            call.window -= size
            self.window -= size
            self._frames.append(_MESSAGE.pack(size << 8, 0, call.number, 0, len(message)))
            self._frames.append(message)
            self.flush_soon()
            return
        call.unsent += _PREFIX.pack(0, len(message))
        call.unsent += message
        self._pump(call)

    def answer(self, call: Sender, message: bytes) -> None:
        """Sends the only message of a call, and that all went well."""
        self.message(call, message)
        self.end(call, OK)

    def plain(self, call: Sender, block: bytes, body: bytes) -> None:
        """Answers what is not gRPC: a head and a few words."""
        call.begun = True
        self._frames.append(frame(frames.HEADERS, frames.END_HEADERS, call.number, block))
        call.unsent += body
        self._pump(call)

    def end(self, call: Sender, block: bytes) -> None:
        """Ends a call, as soon as all of it is sent."""
        if call.unsent:
            call.end = block
            return
        if call.begun and block is OK:
            self._frames.append(_OK_HEAD[:5] + call.number.to_bytes(4, "big") + OK)
        else:
            self._block(call.number, block if call.begun else ANSWER + block)
        self.flush_soon()
        call.ended()

    def forget(self, call: Sender) -> None:
        """Sends nothing more of a call."""
        call.unsent.clear()
        self._blocked.pop(call, None)

    def open(self, more: int) -> None:
        """Takes the peer's word that it takes more, over all calls."""
        self.window += more
        if self.window > frames.LARGEST_WINDOW:
            raise Violation(ErrorCode.FLOW_CONTROL_ERROR, "a window over 2^31 - 1")
        for call in list(self._blocked):
            self._pump(call)

    def open_call(self, call: Sender, more: int) -> None:
        """Takes the peer's word that it takes more of this call."""
        call.window += more
        if call.window > frames.LARGEST_WINDOW:
            raise Violation(ErrorCode.FLOW_CONTROL_ERROR, "a window over 2^31 - 1", call.number)
        if call.unsent:
            self._pump(call)

    def settle(self, name: int, value: int, calls: "list[Sender]") -> None:
        """Takes a setting of the peer's."""
        if name == frames.INITIAL_WINDOW_SIZE:
            if value > frames.LARGEST_WINDOW:
                raise Violation(ErrorCode.FLOW_CONTROL_ERROR, f"INITIAL_WINDOW_SIZE of {value}")
            more, self.initial = value - self.initial, value
            for call in calls:
                try:
                    self.open_call(call, more)
                except Violation as error:
                    raise Violation(error.code, str(error)) from error
        elif name == frames.MAX_FRAME_SIZE:
            if not frames.DEFAULT_FRAME_SIZE <= value <= frames.LARGEST_FRAME_SIZE:
                raise Violation(ErrorCode.PROTOCOL_ERROR, f"MAX_FRAME_SIZE of {value}")
            self._frame_size = value
        elif name == frames.ENABLE_PUSH and value > 1:
            raise Violation(ErrorCode.PROTOCOL_ERROR, f"ENABLE_PUSH of {value}")

    def flush_soon(self) -> None:
        """Writes at the end of this turn of the event loop, unless somebody is about to."""
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self.flush)

    def hold(self) -> None:
        """Writes nothing until `flush`, which the caller promises."""
        self._flushing = True

    def flush(self) -> None:
        """Writes what there is."""
        self._flushing = False
        if self._frames:
            data = b"".join(self._frames)
            self._frames.clear()
            if not self._transport.is_closing():
                self._transport.write(data)

    def _begin(self, call: Sender) -> None:
        call.begun = True
        self._frames.append(_ANSWER_HEAD[:5] + call.number.to_bytes(4, "big") + ANSWER)

    def _pump(self, call: Sender) -> None:
        """Sends of a call what the windows let through."""
        unsent = call.unsent
        while unsent:
            size = min(len(unsent), call.window, self.window, self._frame_size)
            if size <= 0:
                self._blocked[call] = None
                self.flush_soon()
                return
            last = call.bare and size == len(unsent)
            flags = frames.END_STREAM if last else 0
            self._frames.append(frame(frames.DATA, flags, call.number, bytes(unsent[:size])))
            del unsent[:size]
            call.window -= size
            self.window -= size
        self._blocked.pop(call, None)
        self.flush_soon()
        if call.bare:
            call.ended()
        elif call.end is not None:
            self.end(call, call.end)
        else:
            call.sent()

    def _block(self, number: int, block: bytes) -> None:
        """A header block that ends a stream, in as many frames as it takes."""
        size = self._frame_size
        parts = [block[start : start + size] for start in range(0, len(block), size)]
        kind, flags = frames.HEADERS, frames.END_STREAM
        for part in parts[:-1]:
            self._frames.append(frame(kind, flags, number, part))
            kind, flags = frames.CONTINUATION, 0
        self._frames.append(frame(kind, flags | frames.END_HEADERS, number, parts[-1]))
