"""What no honest client sends: messages and connections bent out of shape, the same for each seed.

Whatever comes, the server owes nobody an INTERNAL, answers the next caller, and keeps nothing.
"""

import random
import socket
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from google.protobuf.duration_pb2 import Duration
from grpc_health.v1 import health_pb2

from digitserve.v1 import digits_pb2, models_pb2
from support.http2 import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PREDICT,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    STREAM_PREDICT,
    WINDOW_UPDATE,
    Answer,
    Peer,
    frame,
    head,
    message,
    number,
    settings,
)

UNKNOWN, INTERNAL = 2, 13
_MODELS = "/digitserve.v1.ModelService/"
# A connection's window that is never in the way.
_WIDE = frame(WINDOW_UPDATE, 0, 0, number(2**31 - 1 - 65_535))
_CHECK = "/grpc.health.v1.Health/Check"


@dataclass
class Fuzzed:
    """What came of it.

    Attributes:
        tried: messages, or connections.
        statuses: how often each status was answered.
        faults: what should not have come, each with the case that brought it about.
    """

    tried: int = 0
    statuses: Counter[int | None] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def dice(seed: int, at: int) -> random.Random:
    """Chance, the same for each case."""
    return random.Random(f"{seed}:{at}")  # noqa: S311 - nothing is kept secret by it


# --- messages ----------------------------------------------------------------------------------


def _honest() -> list[tuple[str, bytes]]:
    """Messages as they should be, each with the method that takes it."""
    pixels, floats = bytes(range(256)) * 3 + bytes(16), struct.pack("<784f", *[0.5] * 784)
    options = digits_pb2.StreamOptions(
        encoding="PIXEL_ENCODING_UINT8", detail="DETAIL_BRIEF", delivery="DELIVERY_LATEST",
        label="stable", max_in_flight_frames=4,
        max_in_flight_images=9, max_age=Duration(seconds=1, nanos=5),
    )  # fmt: skip
    one = digits_pb2.Frame(frame_id="camera/7", pixels=pixels, count=1, age_us=3, timeout_us=9**9)
    requests = [
        (PREDICT, digits_pb2.PredictRequest(pixels=pixels)),
        (
            PREDICT,
            digits_pb2.PredictRequest(
                pixels=pixels * 3, count=3, detail="DETAIL_BRIEF", label="stable"
            ),
        ),
        (
            PREDICT,
            digits_pb2.PredictRequest(
                pixels=floats, count=1, encoding="PIXEL_ENCODING_FLOAT32", version=1
            ),
        ),
        (STREAM_PREDICT, digits_pb2.StreamPredictRequest(options=options, frame=one)),
        (STREAM_PREDICT, digits_pb2.StreamPredictRequest(frame=one)),
        (STREAM_PREDICT, digits_pb2.StreamPredictRequest(options=options)),
        (f"{_MODELS}GetLimits", models_pb2.GetLimitsRequest()),
        (f"{_MODELS}ListVersions", models_pb2.ListVersionsRequest()),
        (f"{_MODELS}LoadVersion", models_pb2.LoadVersionRequest(version=2)),
        (f"{_MODELS}PromoteVersion", models_pb2.PromoteVersionRequest(version=2)),
        (f"{_MODELS}RollBackVersion", models_pb2.RollBackVersionRequest(expected_stable=1)),
        (f"{_MODELS}UnloadVersion", models_pb2.UnloadVersionRequest(version=9)),
        (f"{_MODELS}SetLabel", models_pb2.SetLabelRequest(label="next", version=1)),
        (_CHECK, health_pb2.HealthCheckRequest(service="digitserve.v1.DigitService")),
    ]
    return [(path, request.SerializeToString()) for path, request in requests]


_HONEST = _honest()
_STRANGE = [b"\xff" * 9 + b"\x01", b"\x00", b"\x08", b"\x80" * 11, b"\x0a\xff\xff\xff\xff\x0f"]


def bent(chance: random.Random, honest: bytes, others: Sequence[bytes]) -> bytes:
    """The same bytes, after a few accidents."""
    data = bytearray(honest)
    for _ in range(chance.choice([1, 1, 1, 2, 3, 8])):
        at, kind = chance.randrange(len(data) + 1), chance.randrange(8)
        end = min(len(data), at + chance.choice([1, 1, 2, 9, 99]))
        if kind == 0 and at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 1 and at < len(data):
            data[min(at, chance.randrange(16))] = chance.randrange(256)  # where the fields are
        elif kind == 2:
            data[at:at] = chance.randbytes(chance.choice([1, 1, 2, 5, 40]))
        elif kind == 3:
            del data[at:end]
        elif kind == 4:
            del data[at:]
        elif kind == 5:
            data[at:at] = chance.choice(_STRANGE)
        elif kind == 6:
            data[at:at] = data[at:end]
        else:
            other = chance.choice(others)
            data[at:] = other[chance.randrange(len(other) + 1) :]
    return bytes(data)


def fuzz_messages(
    address: str, count: int, seed: int, healthy: Callable[[Peer], None], at_once: int = 50
) -> Fuzzed:
    """Sends so many bent messages over four connections; what comes of them.

    Args:
        address: the server's.
        count: how many.
        seed: of all chance.
        healthy: a call that must go well, made now and then on each connection.
        at_once: calls under way.
    """
    fuzzed = Fuzzed()
    others = [data for _, data in _HONEST]
    peers = [Peer(address, window=1 << 24) for _ in range(4)]
    for peer in peers:
        peer.send(_WIDE)
    turn = 0
    while fuzzed.tried < count:
        peer = peers[turn % len(peers)]
        calls: list[tuple[int, int]] = []
        for at in range(fuzzed.tried, min(count, fuzzed.tried + at_once)):
            chance = dice(seed, at)
            path, honest = chance.choice(_HONEST)
            calls.append((at, peer.ask(message(bent(chance, honest, others)), head(path))))
        for at, stream in calls:
            _judge(fuzzed, f"message {seed}:{at}", peer.wait(stream))
            del peer.answers[stream]
        fuzzed.tried += len(calls)
        turn += 1
        if turn % 20 == 0 or peer.closed:
            healthy(peer)
    for peer in peers:
        healthy(peer)
        peer.socket.close()
    return fuzzed


def _judge(fuzzed: Fuzzed, case: str, answer: Answer) -> None:
    """Counts an answer, and what is wrong with it."""
    fuzzed.statuses[answer.status] += 1
    if answer.status in {None, UNKNOWN, INTERNAL}:
        fuzzed.faults.append(f"{case}: {answer.status}, reset {answer.reset}")
    for said in answer.messages if b"INTERNAL" in answer.body else []:
        fuzzed.faults.append(f"{case}: {said!r}")


# --- connections -------------------------------------------------------------------------------

_BLOCK = b"\x83\x86\x44%c%b\x00\x02te\x08trailers\x0f\x10\x10application/grpc"


def _conversation(chance: random.Random) -> list[bytes]:
    """Frames as they should be, from the greeting on."""
    frames = [settings(window=chance.choice([0, 9, 65_535, 1 << 20])), frame(SETTINGS, 1, 0)]
    for at in range(chance.randint(1, 6)):
        stream = 2 * at + 1
        path, body = chance.choice(_HONEST)
        whole = message(body)
        block = _BLOCK % (len(path), path.encode())
        frames.append(frame(HEADERS, END_HEADERS, stream, block))
        cut = chance.randrange(len(whole))
        if chance.random() < 0.3:
            frames += [frame(DATA, 0, stream, whole[:cut])]
            whole = whole[cut:]
        frames.append(frame(DATA, chance.choice([END_STREAM] * 4 + [0]), stream, whole))
        frames.append(frame(WINDOW_UPDATE, 0, chance.choice([0, stream]), number(9999)))
    if chance.random() < 0.2:
        frames.append(frame(RST_STREAM, 0, 1, number(8)))
    return frames


def _header_changed(chance: random.Random, one: bytes) -> bytes:
    """Another length, kind, flags or stream."""
    first, flags, stream = struct.unpack_from(">IBI", one)
    which = chance.randrange(4)
    if which == 0:
        first = chance.choice([0, 1, 4, 5, 8, 16_384, 16_385, 2**24 - 1]) << 8 | first & 255
    elif which == 1:
        first = first & ~255 | chance.choice([*range(12), 255])
    elif which == 2:
        flags ^= 1 << chance.randrange(8)
    else:
        stream = chance.choice([0, 1, 2, 3, 5, 7, 99, 2**31 - 1, 2**32 - 1])
    return struct.pack(">IBI", first, flags, stream) + one[9:]


def _window_games(chance: random.Random) -> list[bytes]:
    """Windows opened and shut, by nothing, by much, and over the top."""
    values = [0, 1, 100, 65_535, 2**31 - 1, 2**31, 2**32 - 1]
    games = []
    for _ in range(chance.randint(1, 40)):
        if chance.random() < 0.5:
            games.append(settings(window=chance.choice(values)))
        else:
            more = number(chance.choice(values))
            games.append(frame(WINDOW_UPDATE, 0, chance.choice([0, 1, 3, 5]), more))
    return games


def _rapid_resets(chance: random.Random) -> list[bytes]:
    """Streams that are begun and reset in one breath."""
    block, frames = _BLOCK % (len(STREAM_PREDICT), STREAM_PREDICT.encode()), []
    for stream in range(101, 101 + 2 * chance.randint(10, 400), 2):
        frames.append(frame(HEADERS, END_HEADERS, stream, block))
        frames.append(frame(RST_STREAM, 0, stream, number(8)))
    return frames


def _huge_head(chance: random.Random) -> list[bytes]:
    """A head of any bytes, and of far too many."""
    parts = [chance.randbytes(chance.choice([1, 100, 16_384])) for _ in range(9)]
    rest = [frame(9, chance.choice([0, 0, 4]), 99, part) for part in parts[1:]]
    return [frame(HEADERS, 0, 99, parts[0]), *rest]


def _any_settings(chance: random.Random) -> list[bytes]:
    pairs = [struct.pack(">HI", chance.randrange(9), chance.getrandbits(32)) for _ in range(9)]
    return [frame(SETTINGS, 0, 0, b"".join(pairs))]


def _garbage(chance: random.Random) -> list[bytes]:
    return [chance.randbytes(chance.randint(1, 999))]


_GAMES = (_window_games, _rapid_resets, _huge_head, _any_settings, _garbage)


def hostile(chance: random.Random) -> list[bytes]:
    """What one connection sends, packet by packet."""
    frames, kind = _conversation(chance), chance.randrange(10)
    if kind < len(_GAMES):
        at = chance.randrange(1, len(frames) + 1)
        frames[at:at] = _GAMES[kind](chance)
    elif kind == 5:
        chance.shuffle(frames)
    elif kind <= 7:
        frames = [_header_changed(chance, one) if chance.random() < 0.3 else one for one in frames]
    said = b"".join(frames)
    if kind > 7:
        said = bent(chance, said, frames)
    said = (PREFACE if chance.random() < 0.95 else b"") + said
    if chance.random() < 0.15:  # a slow sender
        return [said[at : at + 1] for at in range(300)] + [said[300:]]
    cut = chance.randrange(len(said) + 1)
    return [said[:cut], said[cut:]]


def fuzz_connections(
    address: str, count: int, seed: int, healthy: Callable[[Peer], None]
) -> Fuzzed:
    """Opens so many hostile connections, one after the other; what comes of them.

    Args:
        address: the server's.
        count: how many.
        seed: of all chance.
        healthy: a call that must go well, made on another connection after each.
    """
    fuzzed = Fuzzed()
    with Peer(address) as good:
        good.send(_WIDE)
        for at in range(count):
            chance = dice(seed, at)
            with Peer(address, greet=False) as peer:
                for packet in hostile(chance):
                    peer.send(packet)
                if chance.random() < 0.7:  # else it is gone without having read
                    _read_out(fuzzed, f"connection {seed}:{at}", peer)
            healthy(good)
            good.answers.clear()
            fuzzed.tried += 1
    return fuzzed


def _read_out(fuzzed: Fuzzed, case: str, peer: Peer) -> None:
    """Half-closes, reads to the end, and looks for what should not be there."""
    try:
        peer.socket.shutdown(socket.SHUT_WR)
    except OSError:
        peer.closed = True  # it ended this one already
    peer.until_closed()
    fuzzed.statuses[None if peer.goaway is None else peer.goaway[1]] += 1
    if peer.goaway is not None and peer.goaway[1] == 2:
        fuzzed.faults.append(f"{case}: {peer.goaway}")
    for answer in peer.answers.values():
        if answer.status in {UNKNOWN, INTERNAL} or b"INTERNAL" in answer.body:
            fuzzed.faults.append(f"{case}: {answer}")
