"""Requests, as bytes: what differs from call to call, taken apart from what does not.

    model_name  model_version  id  parameters  inputs…  outputs…  raw_input_contents
    └───────────────────────┘  ╎   └──────────────────────────┘  ╎
               head ───────────────────────── head                └ one tensor's values

A client asks the same question again and again: only its name for the request and the pixels are
other ones.  So protobuf reads a head once, and what was read of it is kept.  Mostly a request is as
long as one before, and the same but for these two: then to compare them is enough.
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
        id_end: where the id ends; 0: it has none.
    """

    head: bytes
    request_id: bytes
    raw: bytes
    id_end: int


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
                return Parts(head, data[id_text:id_end], data[at:], id_end)
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
        self._by_length: dict[int, tuple[bytes, int, bytes, int, T]] = {}

    def of(self, data: bytes) -> tuple[T, bytes, bytes] | None:
        """What was read of a request of this length with the same head; and this one's id and raw.

        None: the last one that was this long was another one.
        """
        last = self._by_length.get(len(data))
        if last is None:
            return None
        before, id_end, after, begin, read = last
        if data.startswith(before) and data.startswith(after, id_end):
            return read, data[len(before) : id_end], data[begin:]
        return None

    def of_head(self, data: bytes, parts: Parts) -> T | None:
        """What was read of a request with the same head, of any length."""
        read = self._by_head.get(parts.head)
        if read is not None:
            self._remember(data, parts, read)
        return read

    def keep(self, data: bytes, parts: Parts, read: T) -> None:
        """Keeps what was read of a request, unless its head is long."""
        if len(parts.head) > _LONGEST:
            return
        if len(self._by_head) >= _KEPT:
            self._by_head.clear()
        self._by_head[parts.head] = read
        self._remember(data, parts, read)

    def _remember(self, data: bytes, parts: Parts, read: T) -> None:
        """What is before the id, its length among it, and between it and the values: two looks."""
        if len(self._by_length) >= _KEPT:
            self._by_length.clear()
        _, request_id, raw, id_end = parts
        before, begin = data[: id_end - len(request_id)], len(data) - len(raw)
        self._by_length[len(data)] = before, id_end, data[id_end:begin], begin, read
