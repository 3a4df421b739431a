"""Requests, as bytes: what differs from call to call, taken apart from what does not.

    model_name  model_version  id  parameters  inputs…  outputs…  raw_input_contents
    └───────────────────────┘  ╎   └──────────────────────────┘  ╎
               head ───────────────────────── head                └ one tensor's values

A client asks the same question again and again: only its name for the request and the pixels are
other ones.  So protobuf reads a head once, and what was read of it is kept.  Without a name, all
that comes before the values is the same, to the byte, and so is the length: then looking is enough.
"""

from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

# Field number and wire type, as protobuf writes them: number << 3 | type.
_ID, _RAW = 0x1A, 0x3A
_FIELDS = frozenset({0x0A, 0x12, _ID, 0x22, 0x2A, 0x32})
_MORE = 0x80
_LENGTH_BITS = 32

# Heads that are kept, and the longest of them: more than a caller needs, little to hold.
_KEPT = 256
_LONGEST = 1024


class Parts(NamedTuple):
    """A request, taken apart.

    Attributes:
        head: all but the id and the values; a message too.
        request_id: the caller's name for it, as it was sent.
        raw: its values.
    """

    head: bytes
    request_id: bytes
    raw: bytes


def taken_apart(data: bytes) -> Parts | None:
    """The parts of a ModelInferRequest with one raw tensor, at its end; None: it is no such one."""
    at, end = 0, len(data)
    id_begin = id_end = id_text = 0
    try:
        while at < end:
            begin, tag, size = at, data[at], data[at + 1]
            at += 2
            if size >= _MORE:
                size, at = _long(data, at - 1)
            if tag == _RAW:
                # Whatever comes after the values belongs before them: protobuf may read that.
                if at + size != end:
                    return None
                head = data[:begin] if not id_end else data[:id_begin] + data[id_end:begin]
                return Parts(head, data[id_text:id_end], data[at:])
            if tag not in _FIELDS:
                return None
            at += size
            if tag == _ID:
                if id_end:
                    return None
                id_begin, id_text, id_end = begin, at - size, at
    except IndexError:  # it breaks off: protobuf is to say so
        pass
    return None


def _long(data: bytes, at: int) -> tuple[int, int]:
    """A length that begins at `at`, and where it ends.

    Raises:
        IndexError: if it does not end where a length must.
    """
    size = shift = 0
    while True:
        byte = data[at]
        at += 1
        size |= (byte & 0x7F) << shift
        if byte < _MORE:
            return size, at
        shift += 7
        if shift > _LENGTH_BITS:
            raise IndexError


class Kept(Generic[T]):
    """What was read of heads; a bounded number of them."""

    def __init__(self) -> None:
        """Keeps nothing yet."""
        self._by_head: dict[bytes, T] = {}
        self._by_length: dict[int, tuple[bytes, T]] = {}
        self.of_head = self._by_head.get

    def of(self, data: bytes) -> tuple[T, bytes] | None:
        """What was read of a request that had no name and other values alone, and the values."""
        same = self._by_length.get(len(data))
        if same is None or not data.startswith(same[0]):
            return None
        before, read = same
        return read, data[len(before) :]

    def keep(self, data: bytes, parts: Parts, read: T) -> None:
        """Keeps what was read of a request, unless its head is long."""
        if len(parts.head) > _LONGEST:
            return
        if len(self._by_head) >= _KEPT:
            self._by_head.clear()
            self._by_length.clear()
        self._by_head[parts.head] = read
        if not parts.request_id:
            self._by_length[len(data)] = data[: len(data) - len(parts.raw)], read
