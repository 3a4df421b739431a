"""What stands before and after a call's messages: the request's head, the answer's head and end.

Header blocks are read by `hpack`.  A client sends the same block for call after call, so a block
that changed nothing in its table is remembered, with what it says: a look in a dict for most calls.
"""

import logging
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

import hpack
from google.rpc import status_pb2
from hpack.table import HeaderTable

from digitserve.server.transport.http2.frames import ErrorCode, Violation

# It would tell the log, at DEBUG, every header: the callers' tokens among them.
logging.getLogger("hpack").setLevel(logging.WARNING)

# Bytes of names and values of one head, as HTTP/2 counts them: what is announced, and what is read
# to refuse it politely.
MAX_HEAD_BYTES = 16 * 1024
_MOST_HEAD_BYTES = 64 * 1024
# Blocks that are remembered for a connection, and bytes of one.
_REMEMBERED = 64
_REMEMBERED_BYTES = 1024

_CONTENT_TYPE = b"application/grpc"
_TIMEOUT = re.compile(r"([0-9]{1,8})([HMSmun])")
_LENGTH = re.compile(r"[0-9]{1,18}")
_SECONDS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")
_VALUE_BREAKS = re.compile(rb"[\x00\r\n]")
# What gRPC's percent-encoding leaves as it is.
_PRINTABLE = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")
_PSEUDO = {b":method", b":scheme", b":path", b":authority"}
_CONNECTION = {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}


@dataclass(frozen=True, slots=True)
class Head:
    """What a request says before its messages.

    Attributes:
        path: the method's full name, `/service/method`.
        timeout_s: seconds that the caller waits; None: for ever.
        metadata: the first value of each name.
        encoding: how compressed messages are compressed.
        status: the HTTP status that refuses a request that is none of gRPC's; 0 if it is one.
        too_long: whether it is longer than `MAX_HEAD_BYTES`.
        length: the bytes that its body is said to have.
    """

    path: str
    timeout_s: float | None
    metadata: Mapping[str, str]
    encoding: str
    status: int
    too_long: bool
    length: int | None


class HeadReader:
    """Reads the header blocks of one connection, in order."""

    def __init__(self) -> None:
        self._decoder = hpack.Decoder(_MOST_HEAD_BYTES)
        self._known: dict[bytes, Head] = {}

    def read(self, block: bytes, stream: int) -> Head:
        """Reads a block.

        Raises:
            Violation: if it cannot be read, or is no request's.
        """
        if (head := self._known.get(block)) is not None:
            return head
        pairs, changed = self._decoded(block)
        if changed:
            self._known.clear()
        head = _head(pairs, stream)
        if not changed and len(block) <= _REMEMBERED_BYTES:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[block] = head
        return head

    def skip(self, block: bytes) -> None:
        """Reads a block for what it does to the table alone."""
        if block not in self._known and self._decoded(block)[1]:
            self._known.clear()

    def _decoded(self, block: bytes) -> tuple[list[tuple[bytes, bytes]], bool]:
        """The pairs, and whether the table is another one now."""
        table = self._decoder.header_table
        before = (table.maxsize, len(table.dynamic_entries), _newest(table))
        try:
            pairs = [(name, value) for name, value in self._decoder.decode(block, raw=True)]
        except hpack.OversizedHeaderListError as error:
            raise Violation(ErrorCode.ENHANCE_YOUR_CALM, "the head is too long") from error
        except hpack.HPACKError as error:
            raise Violation(ErrorCode.COMPRESSION_ERROR, str(error)) from error
        after = (table.maxsize, len(table.dynamic_entries), _newest(table))
        return pairs, before[:2] != after[:2] or before[2] is not after[2]


def _newest(table: HeaderTable) -> object:
    return table.dynamic_entries[0] if table.dynamic_entries else None


def _head(pairs: list[tuple[bytes, bytes]], stream: int) -> Head:
    def malformed(why: str) -> Violation:
        return Violation(ErrorCode.PROTOCOL_ERROR, why, stream)

    pseudo: dict[bytes, bytes] = {}
    metadata: dict[str, str] = {}
    regular = False
    for name, value in pairs:
        if name.startswith(b":"):
            if regular or name not in _PSEUDO or name in pseudo:
                raise malformed("a pseudo-header that may not stand there")
            pseudo[name] = value
            continue
        regular = True
        if not _NAME.fullmatch(name) or _VALUE_BREAKS.search(value):
            raise malformed("a header whose name or value may not be")
        if name in _CONNECTION or (name == b"te" and value != b"trailers"):
            raise malformed("a header of the connection, which HTTP/2 has not")
        metadata.setdefault(name.decode(), value.decode("latin-1"))
    if not pseudo.get(b":path") or b":method" not in pseudo or b":scheme" not in pseudo:
        raise malformed(":method, :scheme or :path is missing")
    length = metadata.get("content-length")
    if length is not None and not _LENGTH.fullmatch(length):
        raise malformed("content-length is no number")
    return Head(
        path=pseudo[b":path"].decode("latin-1"),
        timeout_s=_timeout(metadata.get("grpc-timeout", ""), stream),
        metadata=metadata,
        encoding=metadata.get("grpc-encoding", "identity"),
        status=_http_status(pseudo[b":method"], metadata),
        too_long=sum(len(name) + len(value) + 32 for name, value in pairs) > MAX_HEAD_BYTES,
        length=None if length is None else int(length),
    )


def _timeout(said: str, stream: int) -> float | None:
    try:
        return seconds_of(said)
    except ValueError as error:
        raise Violation(ErrorCode.PROTOCOL_ERROR, str(error), stream) from None


def seconds_of(timeout: str) -> float | None:
    """The seconds of a `grpc-timeout`; None of an empty one.

    Raises:
        ValueError: if it is none.
    """
    if not timeout:
        return None
    found = _TIMEOUT.fullmatch(timeout)
    if found is None:
        raise ValueError("grpc-timeout is none")
    return int(found[1]) * _SECONDS[found[2]]


def _http_status(method: bytes, metadata: Mapping[str, str]) -> int:
    if method != b"POST":
        return 405
    kind = metadata.get("content-type", "").encode("latin-1")
    if kind.startswith(_CONTENT_TYPE) and kind[len(_CONTENT_TYPE) :][:1] in {b"", b"+", b";"}:
        return 0
    return 415


# --- what is answered ------------------------------------------------------------------------


def _literal(name: bytes, value: bytes) -> bytes:
    """A header that is not to be remembered, its name and value as they are."""
    return b"\x00" + _string(name) + _string(value)


def _string(text: bytes) -> bytes:
    if len(text) < 127:
        return bytes([len(text)]) + text
    size, rest = bytearray(b"\x7f"), len(text) - 127
    while rest >= 128:
        size.append(rest & 127 | 128)
        rest >>= 7
    size.append(rest)
    return bytes(size) + text


# The head of every answer: `:status: 200` from the static table, and gRPC's content type.
ANSWER = (
    b"\x88"
    + b"\x0f\x10"
    + _string(_CONTENT_TYPE)
    + _literal(b"grpc-accept-encoding", b"identity,deflate,gzip")
)
OK = _literal(b"grpc-status", b"0")
# Without details: just what its caller's own side says at that instant.
DEADLINE_EXCEEDED = _literal(b"grpc-status", b"4") + _literal(b"grpc-message", b"Deadline Exceeded")


def status_block(status: status_pb2.Status, more: Iterable[tuple[str, str]] = ()) -> bytes:
    """The end of a call that failed, its details included."""
    block = _literal(b"grpc-status", str(status.code).encode())
    block += _literal(
        b"grpc-message", quote(status.message, safe=" !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~").encode()
    )
    if status.details:
        details = b64encode(status.SerializeToString()).rstrip(b"=")
        block += _literal(b"grpc-status-details-bin", details)
    for name, value in more:
        block += _literal(name.encode(), value.encode())
    return block


def http_block(status: int) -> bytes:
    """The head of an answer to what is not gRPC."""
    return b"\x08\x03%d" % status + b"\x0f\x10" + _string(b"text/plain")
