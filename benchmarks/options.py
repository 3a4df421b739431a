"""What each option costs: server CPU for a call with it, to the same without."""

import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.http2 import Access, Exchange, Tally
from benchmarks.rows import Row
from benchmarks.subjects import Subject, images, subject_of
from digitserve.server.guard.tokens import make_token
from digitserve.v1 import digits_pb2
from support.command import Command, started
from support.keys import Authority

_SLICE_S = 0.4
_CALLERS = 16
_SETTINGS: dict[str, dict[str, object]] = {
    "asyncio's loop in place of uvloop's": {"loop": "asyncio"},
    "the engine on a thread": {"inline_us": 0, "engine_threads": 1},
    "metrics": {"metrics": "127.0.0.1:0"},
    "traces of one call in a hundred": {"traces": "http://127.0.0.1:9"},
}


@contextmanager
def option_rows() -> Iterator[list[Row]]:
    """The rows; their servers are up while the block runs."""
    pictures = images()
    with ExitStack() as stack:

        def command(settings: dict[str, object]) -> Command:
            return stack.enter_context(started("benchmarks.variant", json.dumps(settings)))

        def up(settings: dict[str, object]) -> Subject:
            return subject_of(command(settings), "ours", pictures)

        plain, again = up({}), up({})
        rows = [
            _row(name, {"reference": plain, "again": again, "ours": up(settings)})
            for name, settings in _SETTINGS.items()
        ]
        folder = Path(stack.enter_context(TemporaryDirectory()))
        for name, (settings, access) in _secured(folder).items():
            secured = Subject(command(settings), plain.questions, access)
            rows.append(_row(name, {"reference": plain, "again": again, "ours": secured}))
        for name, request in _requests(pictures[0]).items():
            exchange = [Exchange(request.SerializeToString(), b"\x10\x01")]
            rows.append(_asked_row(name, plain, again, exchange))
        yield rows


def _row(name: str, subjects: dict[str, Subject]) -> Row:
    def measure(kind: str) -> float:
        subject = subjects[kind]
        return subject.cpu_us(partial(subject.unary, _CALLERS, _SLICE_S))

    return Row(name, "µs", measure, at_most=True)


def _asked_row(name: str, plain: Subject, again: Subject, exchange: list[Exchange]) -> Row:
    def otherwise() -> Tally:
        return plain.asked(exchange, _CALLERS, _SLICE_S)

    loads: dict[str, tuple[Subject, Callable[[], Tally]]] = {
        "reference": (plain, partial(plain.unary, _CALLERS, _SLICE_S)),
        "again": (again, partial(again.unary, _CALLERS, _SLICE_S)),
        "ours": (plain, otherwise),
    }

    def measure(kind: str) -> float:
        subject, load = loads[kind]
        return subject.cpu_us(load)

    return Row(name, "µs", measure, at_most=True)


def _secured(folder: Path) -> dict[str, tuple[dict[str, object], Access]]:
    """Servers that are reached in other ways, and how."""
    ours = Authority("benchmark", folder)
    cert, key = ours.issue("server", "localhost")
    trusted = ssl.create_default_context(cafile=str(ours.path))
    trusted.set_alpn_protocols(["h2"])
    trusted.check_hostname = False  # it is called by its number
    tokens, made = folder / "tokens.json", make_token()
    entry = {"id": made.id, "sha256": made.sha256, "name": "benchmark", "scopes": ["predict"]}
    tokens.write_text(json.dumps({"tokens": [entry]}), encoding="utf-8")
    tokens.chmod(0o600)
    return {
        "TLS": ({"tls_cert": str(cert), "tls_key": str(key)}, Access(trusted)),
        "a token": ({"tokens": str(tokens)}, Access(token=f"Bearer {made.token}")),
    }


def _requests(pixels: bytes) -> dict[str, digits_pb2.PredictRequest]:
    floats = (np.frombuffer(pixels, np.uint8) / np.float32(255)).astype("<f4").tobytes()
    float32 = digits_pb2.PIXEL_ENCODING_FLOAT32
    return {
        "float32 in place of uint8": digits_pb2.PredictRequest(pixels=floats, encoding=float32),
        "brief answers": digits_pb2.PredictRequest(pixels=pixels, detail=digits_pb2.DETAIL_BRIEF),
        "a version by its label": digits_pb2.PredictRequest(pixels=pixels, label="stable"),
    }
