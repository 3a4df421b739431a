"""What a call costs that came by another protocol, beside the same call by ours, in one run.

One server, one network (the lightest: what is not the network shows most), metrics on, the same
images; the protocols take turns of a second, and a ratio is taken within each round.
"""

import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from operator import truediv
from pathlib import Path
from typing import TypeAlias

import grpc

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from benchmarks.http2 import Connection, Exchange, Tally  # noqa: E402
from benchmarks.subjects import MODEL, Subject, images, median_us, subject_of  # noqa: E402
from proving import expect  # noqa: E402
from support.command import server_command  # noqa: E402
from support.open_inference import Asking, infer_request  # noqa: E402

# A call by another protocol may cost so much more.
_MOST = 1.15
_CALLERS = 16
_MODEL_INFER = "/inference.GRPCInferenceService/ModelInfer"

Load: TypeAlias = Callable[[int, float], Tally]
Figures: TypeAlias = dict[str, list[float]]


@contextmanager
def _server() -> Iterator[Subject]:
    with server_command("--models", str(MODEL.parent), "--metrics", "127.0.0.1:0") as command:
        yield subject_of(command, "ours", images())


def _loading(subject: Subject, method: str, exchanges: list[Exchange]) -> Load:
    def load(callers: int, seconds: float) -> Tally:
        with Connection(subject.command.address) as connection:
            return connection.unary(method, exchanges, callers, seconds)

    return load


def _model_infer(subject: Subject, **fields: str) -> list[Exchange]:
    """The same images, with the answers that the server gave once."""
    exchanges = []
    with grpc.insecure_channel(subject.command.address) as channel:
        for pixels in images():
            request = infer_request(pixels, **fields)
            told = Asking(channel).infer(request).raw_output_contents[0]
            exchanges.append(Exchange(request.SerializeToString(), told))
    return exchanges


def model_infer(short: bool) -> str:
    """ModelInfer, one image and all outputs, without an id and with one, beside Predict."""
    rounds, seconds = (9, 0.4) if short else (12, 1.0)
    with _server() as subject:
        loads = {
            "Predict": _loading(subject, "Predict", subject.questions.one),
            "ModelInfer": _loading(subject, _MODEL_INFER, _model_infer(subject)),
            "with an id": _loading(subject, _MODEL_INFER, _model_infer(subject, id="request-7")),
        }
        cpu, p50 = _measured(subject, loads, rounds, seconds)
    worst = max(*_ratios(cpu).values(), *_ratios(p50).values())
    return expect(
        True,
        f"server CPU of a call {_told(cpu)}, with {_CALLERS} callers; p50 of one caller "
        f"{_told(p50)}; medians of {rounds} rounds, to Predict's; at most {_MOST}",
        bounds=worst <= _MOST,
    )


def _measured(
    subject: Subject, loads: dict[str, Load], rounds: int, seconds: float
) -> tuple[Figures, Figures]:
    """Microseconds of each round: server CPU of a call, and the median latency of one caller."""
    cpu: Figures = {name: [] for name in loads}
    p50: Figures = {name: [] for name in loads}
    for load in loads.values():
        load(_CALLERS, 0.3)  # warm
    for each in range(rounds):
        names = list(loads) if each % 2 else list(reversed(loads))
        for name in names:
            cpu[name].append(subject.cpu_us(partial(loads[name], _CALLERS, seconds)))
        for name in names:
            p50[name].append(median_us(loads[name](1, seconds / 2)))
    return cpu, p50


def _ratios(figures: Figures) -> dict[str, float]:
    """Of each but the first to the first: the median of the rounds' ratios."""
    first, *others = figures
    return {name: statistics.median(map(truediv, figures[name], figures[first])) for name in others}


def _told(figures: Figures) -> str:
    ratios = {"Predict": 1.0} | _ratios(figures)
    return ", ".join(
        f"{name} {statistics.median(figures[name]):.1f} us ({ratios[name]:.2f})" for name in ratios
    )


if __name__ == "__main__":
    print(model_infer("--short" in sys.argv))
