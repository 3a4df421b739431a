"""Metrics beside a load that was counted by whom it was put, and the figures that alerts name."""

import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

from digitserve.v1 import digits_pb2
from proving import Shortfall, expect
from support.command import Command, server_command
from support.scrape import DIGITS, scraped, unused_address
from support.workers import Connection, connected, workers_of

_ROOT = Path(__file__).resolve().parent.parent
_CALLERS = 8
# What is counted after its caller has gone on is counted within so many seconds.
_SETTLED_S = 5.0
_SAMPLE = re.compile(r"(?P<name>\w+?)(?:\{(?P<labels>.*)\})?$")
_LABEL = re.compile(r'(\w+)="([^"]*)"')

_BAD = digits_pb2.PredictRequest(pixels=b"?")
_UNKNOWN = digits_pb2.PredictRequest(pixels=bytes(784), version=999)
_LATEST = digits_pb2.StreamOptions(delivery=digits_pb2.DELIVERY_LATEST)


def metrics_exact(short: bool) -> str:
    """One worker, then two: each counter is what the callers counted."""
    rounds = 20 if short else 200
    told = []
    for workers in (1, 2):
        metrics = unused_address()
        flags = ("--metrics", metrics, "--workers", str(workers), "--lame-duck", "0")
        with server_command(*flags) as command:
            counted = _put(command, rounds)
            seen = _settled(metrics, counted)
        wrong = {
            name: (seen[name], counted[name]) for name in counted if seen[name] != counted[name]
        }
        if wrong:
            raise Shortfall(f"{workers} workers, told and counted: {wrong}")
        told.append(f"{workers} workers: {len(counted)} figures, {_sums(counted)}")
    return "; ".join(told) + "; all equal"


def alerts_and_dashboard() -> str:
    """Every expression, by its parser, against a real scrape; the alerts by Prometheus's tool."""
    test = "tests/server/test_dashboard.py"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", test, "-o", "addopts=--import-mode=importlib"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stdout.strip().splitlines()[-1]
    return expect(done.returncode == 0, f"{test}: {last}")


def _sums(counted: Counter[str]) -> str:
    sums = Counter[str]()
    for name, often in counted.items():
        sums[name.split()[0]] += often
    return f"{sums['calls']} calls, {sums['frames']} frames, {sums['digits']} digits"


# --- what the callers count ---------------------------------------------------------------------


def _put(command: Command, rounds: int) -> Counter[str]:
    """Puts the load on every worker; gives what came of it."""
    with connected(command, *workers_of(command)) as known:
        more = [Connection(command) for _ in range(_CALLERS - len(known))]
        with ThreadPoolExecutor(_CALLERS) as pool:
            done = pool.map(_load, [*known, *more], [rounds] * _CALLERS, range(_CALLERS))
            counted = sum(done, Counter[str]())
        for each in more:
            each.close()
    return counted


def _load(connection: Connection, rounds: int, seed: int) -> Counter[str]:
    chance, counted = random.Random(seed), Counter[str]()  # noqa: S311
    for _ in range(rounds):
        count = chance.randint(1, 40)
        good = digits_pb2.PredictRequest(pixels=chance.randbytes(784 * count), count=count)
        for request in (good, _BAD, _UNKNOWN):
            _ask(connection, request, counted)
        for options in (None, _LATEST):
            _stream(connection, list(_frames(chance, options)), counted)
    return counted


def _ask(connection: Connection, request: digits_pb2.PredictRequest, to: Counter[str]) -> None:
    to["timed Predict"] += 1
    try:
        answer = connection.digits.Predict(request)
    except grpc.RpcError as error:
        to[f"calls Predict {error.code().name}"] += 1
    else:
        to["calls Predict OK"] += 1
        _digits(answer, to)


def _frames(
    chance: random.Random, options: digits_pb2.StreamOptions | None
) -> Iterator[digits_pb2.StreamPredictRequest]:
    if options is not None:
        yield digits_pb2.StreamPredictRequest(options=options)
    for _ in range(chance.randint(0, 60)):
        pixels = chance.choice((chance.randbytes(784), b"?"))
        yield digits_pb2.StreamPredictRequest(frame=digits_pb2.Frame(pixels=pixels))


def _stream(
    connection: Connection, sent: list[digits_pb2.StreamPredictRequest], to: Counter[str]
) -> None:
    for response in connection.digits.StreamPredict(iter(sent)):
        outcome = response.WhichOneof("outcome")
        if outcome == "predicted":
            _digits(response.predicted, to)
        to[f"frames {outcome}"] += 1
    to["calls StreamPredict OK"] += 1


def _digits(answer: digits_pb2.PredictResponse, to: Counter[str]) -> None:
    to["images"] += len(answer.predictions)
    for each in answer.predictions:
        to[f"digits {each.digit}"] += 1


# --- what the server tells ----------------------------------------------------------------------


def _settled(address: str, counted: Counter[str]) -> Counter[str]:
    """What is told, over all workers, once it is as much as was counted, or does not get there."""
    give_up = time.monotonic() + _SETTLED_S
    while True:
        seen = _seen(address)
        if time.monotonic() > give_up or seen == counted:
            return seen
        time.sleep(0.05)


def _seen(address: str) -> Counter[str]:
    """What is told, without what is 0."""
    seen = Counter[str]()
    for sample, value in scraped(address).items():
        found = _SAMPLE.match(sample)
        assert found is not None
        labels = dict(_LABEL.findall(found["labels"] or ""))
        match found["name"]:
            case "digitserve_calls_total" if labels["method"].startswith(DIGITS):
                seen[f"calls {labels['method'].rpartition('/')[2]} {labels['code']}"] += int(value)
            case "digitserve_frames_total":
                seen[f"frames {labels['outcome']}"] += int(value)
            case "digitserve_predictions_total":
                seen[f"digits {labels['digit']}"] += int(value)
            case "digitserve_batch_images_sum":
                seen["images"] += int(value)
            case "digitserve_call_seconds_count" if labels["method"] == f"{DIGITS}/Predict":
                seen["timed Predict"] += int(value)
    return +seen
