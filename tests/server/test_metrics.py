"""`/metrics`: what a Prometheus server sees of a server, exactly."""

import asyncio
import json
import pickle
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitserve.server.addresses import AddressError
from digitserve.server.engines import Answer
from digitserve.server.observe.counted import Answers
from digitserve.server.observe.family import counter, histogram
from digitserve.server.observe.histogram import Histogram
from digitserve.server.observe.metrics import Gathered, serve_metrics
from digitserve.server.turns import Turn, Turns
from digitserve.v1 import digits_pb2
from support.command import failed_command
from support.engines import BrokenEngine, HeldEngine, InkEngine, image_of
from support.models import CONFIG, place, watching
from support.scrape import DIGITS, OBSERVED, Figures, observed_server, scraped, telling
from support.serving import Serving, serving, versions_of
from support.talk import BLANK, Talking, frame, until

PREDICT, STREAM = f'method="{DIGITS}/Predict"', f'method="{DIGITS}/StreamPredict"'


def test_versions_are_told_as_they_are(tmp_path: Path) -> None:
    """States, images answered, who is stable, swaps, refusals: at each look anew."""
    place(tmp_path, 1, 2)
    with watching(tmp_path) as up, up.digits() as stub, telling(up) as address:
        stub.Predict(digits_pb2.PredictRequest(pixels=BLANK * 3, count=3))
        place(tmp_path, 3)
        (tmp_path / "3" / "model.tflite").write_bytes(b"")
        up.run(up.server.watch.look())
        told = scraped(address)
    expected = {
        'digitserve_version{state="ready",version="1"}': 1,
        'digitserve_version{state="refused",version="3"}': 1,
        'digitserve_version_images_total{version="2"}': 3,
        "digitserve_stable_version": 2,
        "digitserve_versions_refused_total": 1,
        "digitserve_rollbacks_total": 0,
        "digitserve_ready": 1,
    }
    assert {name: told.get(name) for name in expected} == expected


def test_calls_are_counted_by_method_and_code() -> None:
    """Each of a script's calls once: answered, refused, no message at all, of other services."""
    request = digits_pb2.PredictRequest
    with observed_server(versions=versions_of(InkEngine())) as (up, address):
        with up.channel() as channel, up.digits() as stub:
            for digit in range(5):
                stub.Predict(request(pixels=image_of(digit)))
            for wrong in (request(pixels=b"?"), request(pixels=BLANK, version=9)):
                with pytest.raises(grpc.RpcError):
                    stub.Predict(wrong)
            with pytest.raises(grpc.RpcError):
                channel.unary_unary(f"/{DIGITS}/Predict")(b"\xff")  # type: ignore[arg-type]
        told = scraped(address)
    assert of(told, "digitserve_calls_total", PREDICT) == {
        "OK": 5,
        "INVALID_ARGUMENT": 2,
        "NOT_FOUND": 1,
    }
    assert told[f"digitserve_call_seconds_count{{{PREDICT}}}"] == 8
    assert told["digitserve_call_wait_seconds_count"] == 5
    assert told['digitserve_errors_total{of="call",reason="VERSION_UNKNOWN"}'] == 1
    assert told['digitserve_errors_total{of="call",reason="NOT_A_MESSAGE"}'] == 1
    assert told['digitserve_calls_total{code="OK",method="grpc.health.v1.Health/Check"}'] == 0


def test_frames_are_counted_by_what_came_of_them() -> None:
    """Predicted, failed by code, skipped by reason: as many as the caller was told."""
    config, engine = replace(OBSERVED, max_queue_images=64), BrokenEngine()
    latest = digits_pb2.StreamOptions(delivery=digits_pb2.DELIVERY_LATEST)
    broken = bytes([255]) + bytes(783)

    async def script(talking: Talking) -> Counter[str]:
        answers = []
        for options in (None, latest):
            talk = talking.talk()
            first = digits_pb2.StreamPredictRequest(options=options)
            await talk.say(*([first] if options else []))
            for pixels in [image_of(3), b"?", broken, image_of(4) * 2] * 5:
                await talk.say(frame(pixels, count=len(pixels) // 784))
            answers += (await talk.end())[0]
        return Counter(str(answer.WhichOneof("outcome")) for answer in answers)

    with observed_server(config, versions=versions_of(engine)) as (up, address):
        heard = asyncio.run(talked(up, script))
        told = scraped(address)
    counted = Counter[str]()
    for (outcome, _), frames in of_two(told, "digitserve_frames_total").items():
        counted[outcome] += int(frames)
    assert +counted == heard
    assert counted.total() == 40
    assert told[f'digitserve_calls_total{{code="OK",{STREAM}}}'] == 2
    assert told[f"digitserve_open_streams{{{STREAM}}}"] == 0
    for part in ("", "_wait", "_write"):
        assert told[f"digitserve_frame{part}_seconds_count"] == counted["predicted"]


def test_what_is_cut_is_counted_as_cancelled() -> None:
    """The stream, and each of its frames that was read and never answered."""
    engine = HeldEngine()

    async def script(talking: Talking) -> Figures:
        talk = talking.talk()
        await talk.say(*[frame(image_of(1))] * 7)
        await asyncio.to_thread(engine.entered.wait, 60)
        (stream,) = up.server.streams
        await until(lambda: stream.messages == 7)
        assert scraped(address)[f"digitserve_open_streams{{{STREAM}}}"] == 1
        assert scraped(address)["digitserve_queue_images"] == 7
        talk.call.cancel()
        await until(lambda: not up.server.streams)
        return scraped(address)

    with observed_server(versions=versions_of(engine, inline=False)) as (up, address):
        told = asyncio.run(talked(up, script))
        engine.go.set()
    assert told['digitserve_frames_total{outcome="cancelled",reason=""}'] == 7
    assert told[f'digitserve_calls_total{{code="CANCELLED",{STREAM}}}'] == 1
    assert told[f"digitserve_open_streams{{{STREAM}}}"] == 0
    assert told["digitserve_queue_images"] == 0


def test_a_call_that_runs_out_of_time_is_told_as_its_caller_saw_it() -> None:
    """DEADLINE_EXCEEDED, although its handler was merely cancelled."""
    engine = HeldEngine()
    with observed_server(versions=versions_of(engine, inline=False)) as (up, address):
        with up.digits() as stub, pytest.raises(grpc.RpcError, match="DEADLINE_EXCEEDED"):
            stub.Predict(digits_pb2.PredictRequest(pixels=BLANK), timeout=0.2)
        ends = f'digitserve_calls_total{{code="DEADLINE_EXCEEDED",{PREDICT}}}'
        asyncio.run(until(lambda: ends in scraped(address)))
        told = scraped(address)
        engine.go.set()
    assert of(told, "digitserve_calls_total", PREDICT) == {"DEADLINE_EXCEEDED": 1}


def test_what_networks_say_is_counted_image_by_image() -> None:
    """Digits, how sure, how much like no digit, and how many images went at once."""
    script = [(3, 1), (4, 1), (3, 40), (9, 32), (0, 100)]
    with observed_server(versions=versions_of(InkEngine())) as (up, address):
        with up.digits() as stub:
            for digit, count in script:
                stub.Predict(digits_pb2.PredictRequest(pixels=image_of(digit) * count, count=count))
        told = scraped(address)
    read = {
        int(digit): n for (digit, _), n in of_two(told, "digitserve_predictions_total").items() if n
    }
    assert read == {3: 41, 4: 1, 9: 32, 0: 100}
    # 40 = 32 + 8 and 100 = 3 * 32 + 4: a turn holds 32.
    batches = cumulative(told, "digitserve_batch_images")
    assert batches == {1: 2, 2: 2, 4: 3, 8: 4, 16: 4, 32: 9} | dict.fromkeys(
        batches.keys() - {1, 2, 4, 8, 16, 32}, 9
    )
    assert told['digitserve_batch_images_sum{version="1"}'] == 174
    confident = cumulative(told, "digitserve_confidence")
    assert (confident[0.9], confident[0.95]) == (0, 174)
    assert told['digitserve_rejection_sum{version="1"}'] == pytest.approx(174 * 0.09, rel=1e-5)
    assert told['digitserve_model_seconds_count{version="1"}'] == len(script)


def test_a_version_that_is_loaded_anew_is_counted_by_its_own_turns() -> None:
    """Another network under the same number may take fewer images at once, and know rejection."""
    one, other = (Turns([InkEngine()], inline=True, images=images) for images in (32, 8))
    probabilities = np.full((32, 10), 0.1, np.float32)
    answers = Answers(one)
    answers.see(Turn(Answer(probabilities), 0.0, 1e-5), 32, one)
    rejection = np.zeros(32, np.float32)
    answers.see(Turn(Answer(probabilities, rejection), 0.0, 1e-5), 32, other)
    answers.fold()
    assert answers.batches() == {"counts": [0, 0, 0, 4, 0, 1, *[0] * 6], "sum": 64}
    assert answers.rejection.told()["sum"] == pytest.approx(32 * 0.9)


@given(st.lists(st.floats(0, 20)), st.integers(0, 400))
def test_a_histogram_is_exact(values: list[float], repeats: int) -> None:
    """Whenever it is asked, and however many values it was given before."""
    seen = Histogram((0.5, 1.0, 10.0))
    values = values + [0.5] * repeats
    for value in values:
        seen.see(value)
    bounds = [0.0 - 1e-9, 0.5, 1.0, 10.0, np.inf]
    expected = [sum(low < v <= high for v in values) for low, high in pairwise(bounds)]
    assert seen.count == len(values)
    assert seen.told()["counts"] == expected
    assert seen.told()["sum"] == pytest.approx(sum(values))


def test_several_processes_are_told_side_by_side() -> None:
    """Each snapshot as it came, by pickle or as JSON, with its worker's name for a label."""
    spread = histogram("digitserve_x_seconds", "?", (1.0,), [([], {"counts": [2, 1], "sum": 4.5})])
    snapshot = [counter("digitserve_x", "?", [(["OK"], 3)], ("code",)), spread]
    carried = [("0", pickle.loads(pickle.dumps(snapshot))), ("1", json.loads(json.dumps(snapshot)))]
    metrics = {metric.name: metric for metric in Gathered(lambda: carried).collect()}
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for metric in metrics.values()
        for sample in metric.samples
    }
    assert list(metrics) == ["digitserve_x", "digitserve_x_seconds"]
    for worker in ("0", "1"):
        of_worker = ("worker", worker)
        assert samples["digitserve_x_total", ("code", "OK"), of_worker] == 3
        assert samples["digitserve_x_seconds_bucket", ("le", "+Inf"), of_worker] == 3
        assert samples["digitserve_x_seconds_sum", of_worker] == 4.5


def test_a_server_that_nobody_watches_counts_nothing() -> None:
    """And tells, if it is asked, what it knows anyway."""
    with serving() as up, telling(up) as address:
        assert up.server.observer is None
        told = scraped(address)
    assert "digitserve_queue_images" in told
    assert not any(name.startswith("digitserve_calls") for name in told)


def test_the_process_is_told_as_every_prometheus_client_does() -> None:
    """CPU, memory, files: what dashboards look for."""
    with observed_server() as (_, address):
        told = scraped(address)
    assert told["process_cpu_seconds_total"] > 0
    if sys.platform == "linux":
        assert 1e7 < told["process_resident_memory_bytes"] < told["process_virtual_memory_bytes"]
        assert 0 < told["process_open_fds"] < told["process_max_fds"]


def test_an_address_that_is_taken_is_named() -> None:
    """As one of the server's own would be: exit code 3, one line."""
    with serving() as up:
        with pytest.raises(AddressError, match=f"^{up.address}: "):
            serve_metrics(up.address, list)
        code, said = failed_command("--address", "127.0.0.1:0", "--metrics", up.address)
        assert code == 3
        assert said.splitlines()[-1].startswith(f"digitserve-server: {up.address}: ")
    with pytest.raises(AddressError, match="expected host:port"):
        serve_metrics("nowhere", list)


def test_the_server_serves_and_stops_them(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And says which extra is missing, if it is."""
    caplog.set_level("INFO")
    with serving(OBSERVED) as up, up.digits() as stub:
        address = caplog.text.partition("metrics at http://")[2].partition("/metrics")[0]
        stub.Predict(digits_pb2.PredictRequest(pixels=BLANK))
        assert scraped(address)[f'digitserve_calls_total{{code="OK",{PREDICT}}}'] == 1
    monkeypatch.setitem(sys.modules, "digitserve.server.observe.metrics", None)
    with (
        pytest.raises(Exception, match=r"pip install 'digitserve\[metrics\]'"),
        serving(replace(CONFIG, models=None, metrics="127.0.0.1:0")),
    ):
        pass


async def talked(up: Serving, script: Callable[[Talking], Awaitable[Any]]) -> Any:
    """What a script gives that talks with a server."""
    async with Talking(up) as talking:
        return await script(talking)


def of(told: Figures, name: str, label: str) -> dict[str, int]:
    """The samples with a label, by the one beside it, which comes first."""
    found = [key for key in told if key.startswith(f"{name}{{") and key.endswith(f",{label}}}")]
    return {key.split('"')[1]: int(told[key]) for key in found if told[key]}


def of_two(told: Figures, name: str) -> dict[tuple[str, str], float]:
    """The samples with two labels, by their values."""
    found = [key for key in told if key.startswith(f"{name}{{")]
    return {(key.split('"')[1], key.split('"')[3]): told[key] for key in found}


def cumulative(told: Figures, name: str) -> dict[float, float]:
    """A histogram's buckets."""
    return {float(le): n for (le, _), n in of_two(told, f"{name}_bucket").items()}
