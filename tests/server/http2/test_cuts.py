"""A law: however the bytes of a conversation are cut into packets, the answers are the same."""

import asyncio
from itertools import pairwise
from typing import Any

import hpack
from hypothesis import given
from hypothesis import strategies as st

from digitserve.v1 import digits_pb2
from support.engines import image_of
from support.http2 import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    PREFACE,
    PRIORITY,
    RST_STREAM,
    STREAM_PREDICT,
    WINDOW_UPDATE,
    Answer,
    Peer,
    asking,
    frame,
    head,
    message,
    number,
    settings,
)
from support.serving import Serving
from support.talk import frame as image_frame


def conversation() -> tuple[bytes, int]:
    """All that a client says: calls of every kind and end, interleaved; and its last stream."""
    encoder = hpack.Encoder()
    said = [PREFACE, settings(window=30), frame(PING, 0, 0, b"12345678")]

    def begin(stream: int, *pairs: Any) -> bytes:
        block = bytes(encoder.encode(head(*pairs)))
        return frame(HEADERS, 0, stream, block[:7]) + frame(
            CONTINUATION, END_HEADERS, stream, block[7:]
        )

    one = message(image_frame(image_of(4)).SerializeToString())
    said += [begin(1), begin(3, STREAM_PREDICT), frame(DATA, 0, 3, one)]
    said += [frame(DATA, 0, 1, asking(image_of(7))[:300]), begin(5, "/no/such")]
    said += [frame(PRIORITY, 0, 9, number(3) + b"\x01"), frame(DATA, END_STREAM, 3, one[:400])]
    said += [frame(DATA, END_STREAM, 1, asking(image_of(7))[300:]), begin(7)]
    said += [frame(RST_STREAM, 0, 7, number(8)), settings(window=100_000)]
    said += [frame(WINDOW_UPDATE, 0, 0, number(1000)), begin(9)]
    said += [frame(DATA, END_STREAM, 9, asking(image_of(2)) * 2), begin(11)]
    said += [frame(DATA, END_STREAM, 11, asking(image_of(6)))]
    return b"".join(said), 11


_SAID, _LAST = conversation()
_RESET = 7  # by the caller: it may or may not have an answer


def answered(up: Serving, packets: list[bytes], pauses: list[bool]) -> list[Answer]:
    """What the streams are answered when the server's end is handed these packets."""
    with Peer(up.address, greet=False) as peer:
        name = "{}:{}".format(*peer.socket.getsockname())

        async def hand_over() -> None:
            while True:
                for connection in up.server._server.connections:
                    if connection.inbox.peer.endswith(name):
                        for packet, pause in zip(packets, pauses, strict=True):
                            connection.data_received(packet)
                            if pause:  # what was put off has its turn
                                await asyncio.sleep(0)
                        return
                await asyncio.sleep(0)

        up.run(hand_over())
        for stream in range(1, _LAST + 1, 2):
            if stream != _RESET:
                peer.wait(stream)
        return [peer.answer(stream) for stream in range(1, _LAST + 1, 2) if stream != _RESET]


def told(answers: list[Answer]) -> list[Any]:
    """What does not depend on when it was said."""
    return [
        (each.digits if each.status == 0 and at != 1 else bytes(each.body), each.heads, each.ended)
        for at, each in enumerate(answers)
        if at != 1
    ] + [_outcomes(answers[1])]


def _outcomes(answer: Answer) -> list[Any]:
    """A stream's outcomes, without their times."""
    said = [digits_pb2.StreamPredictResponse.FromString(each) for each in answer.messages]
    return [(each.sequence, each.WhichOneof("outcome")) for each in said] + [answer.status]


@given(cuts=st.lists(st.integers(0, len(_SAID)), max_size=60), data=st.data())
def test_however_a_conversation_is_cut_the_answers_are_the_same(
    up: Serving, cuts: list[int], data: st.DataObject
) -> None:
    """In any pieces, all at once or with turns of the event loop between them."""
    at = [0, *sorted(cuts), len(_SAID)]
    packets = [_SAID[start:end] for start, end in pairwise(at)]
    pauses = data.draw(st.lists(st.booleans(), min_size=len(packets), max_size=len(packets)))
    assert told(answered(up, packets, pauses)) == told(answered(up, [_SAID], [False]))


def test_a_byte_at_a_time_is_answered_as_all_at_once(up: Serving) -> None:
    """The finest cut there is."""
    packets = [bytes([one]) for one in _SAID]
    for pause in (False, True):
        answers = answered(up, packets, [pause] * len(packets))
        assert told(answers) == told(answered(up, [_SAID], [False]))
