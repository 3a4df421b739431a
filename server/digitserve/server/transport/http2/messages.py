"""Messages in a call's bytes: a flag, a length, and so many bytes, compressed or not."""

import zlib
from collections.abc import Callable

from digitserve.server.errors import BadField, MessageTooLong

# Flag and length.
PREFIX_BYTES = 5

# How each encoding is read; 32: zlib's or gzip's head, whichever there is.
_WINDOW_BITS = {"gzip": zlib.MAX_WBITS | 32, "deflate": zlib.MAX_WBITS | 32}
ENCODINGS = ("identity", *_WINDOW_BITS)


class Packed(bytes):
    """A message that is compressed still: a few bytes may hold millions, so it waits as it came."""


class MessageReader:
    """Takes the messages of one call out of its bytes.

    Attributes:
        unfinished: how many bytes of a message that is not whole yet are held.
    """

    __slots__ = ("_encoding", "_most", "_rest", "_take", "unfinished")

    def __init__(self, most: int, encoding: str, take: Callable[[bytes], None]) -> None:
        """Gives each whole message, of at most so many bytes, to `take`."""
        self._most = most
        self._encoding = encoding
        self._take = take
        self._rest = bytearray()
        self.unfinished = 0

    def feed(self, data: bytes) -> None:
        """Takes the next bytes.

        Raises:
            MessageTooLong: if a message is longer than it may be.
        """
        # Mostly: one frame, one message.
        if not self._rest and len(data) >= PREFIX_BYTES and not data[0]:
            size = int.from_bytes(data[1:PREFIX_BYTES], "big")
            if size == len(data) - PREFIX_BYTES and size <= self._most:
                self._take(data[PREFIX_BYTES:])
                return
        self._rest += data
        self._split()
        self.unfinished = len(self._rest)

    def whole(self) -> bool:
        """Whether the last message was; asked once no more bytes come, and told once."""
        breaks_off, self.unfinished = self.unfinished > 0, 0
        return not breaks_off

    def unpacked(self, message: Packed) -> bytes:
        """What a compressed message holds.

        Raises:
            MessageTooLong: if that is longer than it may be.
            BadField: if it is not compressed as it is said to be.
        """
        bits = _WINDOW_BITS.get(self._encoding)
        if bits is None:
            raise _not_packed(f"a compressed message, but grpc-encoding is {self._encoding!r}")
        inflater = zlib.decompressobj(bits)
        try:
            # One more than allowed tells that there is more, without making it.
            unpacked = inflater.decompress(message, self._most + 1)
        except zlib.error as error:
            raise _not_packed(f"a message that is no {self._encoding}") from error
        if len(unpacked) > self._most:
            raise MessageTooLong(f"expected at most {self._most} bytes, got more when unpacked")
        if not inflater.eof:
            raise _not_packed(f"a message whose {self._encoding} breaks off")
        return unpacked

    def _split(self) -> None:
        rest, at = self._rest, 0
        try:
            while len(rest) - at >= PREFIX_BYTES:
                size = int.from_bytes(rest[at + 1 : at + PREFIX_BYTES], "big")
                if size > self._most:
                    raise MessageTooLong(f"expected at most {self._most} bytes, got {size}")
                end = at + PREFIX_BYTES + size
                if end > len(rest):
                    break
                message = bytes(rest[at + PREFIX_BYTES : end])
                packed, at = rest[at], end
                self._take(Packed(message) if packed else message)
        finally:
            del rest[:at]


def _not_packed(why: str) -> BadField:
    return BadField("", "NOT_A_MESSAGE", why)
