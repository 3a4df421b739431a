"""Header blocks: what is remembered of them says what a plain reading of them would."""

from contextlib import suppress

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitserve.server.transport.http2.frames import Violation
from digitserve.server.transport.http2.heads import HeadReader

_NAMES = st.sampled_from(["x-a", "x-b", "x-c", "grpc-timeout-ish", "x-long"])
# Long ones, so that the table has to let go of others.
_VALUES = st.sampled_from(["", "1", "two", "a" * 300, "b" * 1000, "c" * 3000])
_PAIRS = st.lists(st.tuples(_NAMES, _VALUES, st.sampled_from(["yes", "no", "never"])), max_size=6)
_SIZES = st.sampled_from([0, 64, 200, 1000, 4096])


@given(
    blocks=st.lists(
        st.tuples(st.lists(_SIZES, max_size=1), _PAIRS, st.booleans(), st.booleans()), max_size=20
    ),
    again=st.integers(1, 3),
)
def test_a_remembered_head_is_never_a_stale_one(
    blocks: list[tuple[list[int], list[tuple[str, str, str]], bool, bool]], again: int
) -> None:
    """Whatever is put into the table, thrown out of it, or skipped: as hpack alone reads it."""
    encoder, plain, reader = hpack.Encoder(), hpack.Decoder(1 << 20), HeadReader()
    for at, (sizes, pairs, huffman, skipped) in enumerate(blocks):
        for size in sizes:
            encoder.header_table_size = size
        said = [
            hpack.HeaderTuple(name, value)
            if remembered == "yes"
            else hpack.NeverIndexedHeaderTuple(name, value)
            for name, value, remembered in pairs
        ]
        first = [(":method", "POST"), (":scheme", "http"), (":path", f"/{at % 3}")]
        for _ in range(again):
            block = bytes(encoder.encode([*first, *said], huffman=huffman))
            expected = [(str(name), str(value)) for name, value in plain.decode(block)]
            if skipped:
                reader.skip(block)
                continue
            head = reader.read(block, 1)
            metadata: dict[str, str] = {}
            for name, value in expected[3:]:
                metadata.setdefault(name, value)
            assert head.path == dict(expected)[":path"]
            assert head.metadata == metadata


@given(raw=st.lists(st.binary(max_size=30), max_size=20))
def test_blocks_of_any_bytes_are_read_or_refused(raw: list[bytes]) -> None:
    """With a violation, never otherwise; and the same one as hpack alone would find."""
    plain, reader = hpack.Decoder(64 * 1024), HeadReader()
    for block in raw:
        try:
            plain.decode(block, raw=True)
        except hpack.HPACKError:
            with pytest.raises(Violation):
                reader.read(block, 1)
            return
        with suppress(Violation):  # no request's: of that stream alone
            reader.read(block, 1)
