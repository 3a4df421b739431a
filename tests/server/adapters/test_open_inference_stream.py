"""ModelStreamInfer: order, failures that are told in band, and how a stream ends."""

import asyncio
import contextlib
import queue
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import grpc
import pytest

from support.engines import BrokenEngine, HeldEngine, image_of
from support.open_inference import Asking, infer_request
from support.scrape import observed_server, scraped
from support.serving import TEST_CONFIG, Serving, serving, versions_of


def digit_of(response: Any) -> int:
    """The digit of a response to one image."""
    return int.from_bytes(response.infer_response.raw_output_contents[1], "little")


class Talk:
    """A stream whose requests are said one at a time."""

    def __init__(self, asking: Asking, **options: Any) -> None:
        self._said: queue.Queue[Any] = queue.Queue()
        self.call = asking.stream(iter(self._said.get, None), **options)

    def say(self, *requests: Any) -> None:
        for request in requests:
            self._said.put(request)

    def end(self) -> Iterator[Any]:
        """Half-closes; what else comes."""
        self._said.put(None)
        return self.call  # type: ignore[no-any-return]


def test_responses_come_in_order_each_with_its_id(asking: Asking) -> None:
    """And each says that it is the only one of its request, as Triton does."""
    requests = [infer_request(image_of(at % 10), id=f"r{at}") for at in range(100)]
    responses = list(asking.stream(requests))
    assert [each.infer_response.id for each in responses] == [each.id for each in requests]
    assert [digit_of(each) for each in responses] == [at % 10 for at in range(100)]
    for each in responses:
        assert not each.error_message
        assert each.infer_response.parameters["triton_final_response"].bool_param is True


def test_who_waits_for_each_answer_is_never_stalled(asking: Asking) -> None:
    """The answer does not wait for the next request."""
    talk = Talk(asking)
    for digit in range(3):
        talk.say(infer_request(image_of(digit)))
        assert digit_of(next(talk.call)) == digit
    assert list(talk.end()) == []


def test_a_request_that_is_wrong_fails_alone(asking: Asking) -> None:
    """In a response with its id and the text; the stream goes on, and ends OK."""
    requests = [
        infer_request(image_of(1), id="a"),
        infer_request(model_name="nope", id="b"),
        infer_request(bytes(3), id="c"),
        b"\xff",
        infer_request(image_of(2), id="d"),
    ]
    told = [
        (each.error_message, each.infer_response.id, each.infer_response.model_name)
        for each in asking.stream(requests)
    ]
    size = "input byte size mismatch for input 'pixels' for model 'digits'. Expected 784, got 3"
    assert told == [
        ("", "a", "digits"),
        ("Request for unknown model: 'nope' is not found", "b", ""),
        (f"[request id: c] {size}", "c", ""),
        (": expected a ModelInferRequest", "", ""),
        ("", "d", "digits"),
    ]


def test_a_run_that_breaks_tells_nothing_but_an_id() -> None:
    """What went wrong is the log's."""
    with serving(versions=versions_of(BrokenEngine())) as up, up.channel() as channel:
        requests = [infer_request(image_of(digit), id="x") for digit in (1, 255, 2)]
        one, broken, two = Asking(channel).stream(requests)
    assert (digit_of(one), digit_of(two)) == (1, 2)
    assert broken.infer_response.id == "x"
    assert broken.error_message.startswith("internal error ")


def test_requests_of_a_stream_are_counted_as_frames() -> None:
    """By what came of them, like those of StreamPredict; and their images like all others."""
    with observed_server(versions=versions_of(BrokenEngine())) as (up, address):
        with up.channel() as channel:
            requests = [infer_request(image_of(1)), infer_request(bytes(3))]
            assert len(list(Asking(channel).stream(requests))) == 2
            Asking(channel).infer(infer_request(image_of(2)))
        told = scraped(address)
    assert told['digitserve_frames_total{outcome="predicted",reason=""}'] == 1
    assert told['digitserve_frames_total{outcome="failed",reason="INVALID_ARGUMENT"}'] == 1
    assert told['digitserve_frames_total{outcome="cancelled",reason=""}'] == 0
    assert (
        sum(v for name, v in told.items() if name.startswith("digitserve_predictions_total")) == 2
    )


@pytest.mark.parametrize("value", ["true", "True", "1", "false"])
def test_who_wants_a_failure_to_end_the_stream_says_so(asking: Asking, value: str) -> None:
    """`triton_grpc_error: true`, and nothing else: then by its status, after what was before it."""
    requests = [
        infer_request(image_of(1)),
        infer_request(image_of(2), model_version="99"),
        infer_request(image_of(3)),
    ]
    call = asking.stream(requests, metadata=(("triton_grpc_error", value),))
    assert digit_of(next(call)) == 1
    if value != "true":
        assert [each.infer_response.id for each in call] == ["", ""]
        return
    with pytest.raises(grpc.RpcError) as raised:
        next(call)
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
    assert "'digits' version 99" in str(raised.value.details())


def test_a_stream_reads_no_further_than_it_may() -> None:
    """A full line stops reading; the sender waits, and nothing is lost."""
    engine = HeldEngine()
    config = replace(TEST_CONFIG, max_in_flight_frames=4, max_wait_s=60.0)
    with serving(config, versions_of(engine, inline=False)) as up, up.channel() as channel:
        call = Asking(channel).stream([infer_request(image_of(3)) for _ in range(20)])
        assert engine.entered.wait(timeout=10)
        (stream,) = up.server.streams
        for _ in range(100):  # let the reader go as far as it may
            up.tasks()
        assert stream.messages <= 4
        engine.go.set()
        assert len(list(call)) == 20


def test_a_stream_holds_no_more_images_than_it_may() -> None:
    """Four requests of three images, and room for seven."""
    engine = HeldEngine()
    config = replace(TEST_CONFIG, max_in_flight_images=7, max_wait_s=60.0)
    with serving(config, versions_of(engine, inline=False)) as up, up.channel() as channel:
        three = infer_request(image_of(3) * 3, shape=[3, 28, 28])
        call = Asking(channel).stream([three] * 4)
        assert engine.entered.wait(timeout=10)
        (stream,) = up.server.streams
        for _ in range(100):
            up.tasks()
        assert stream.messages <= 3
        engine.go.set()
        assert len(list(call)) == 4


def drained(up: Serving, call: Any) -> tuple[bool, list[Any], grpc.StatusCode]:
    """Drains a server; whether all ended well, what a stream still said, and how it ended."""
    draining = asyncio.run_coroutine_threadsafe(up.server.drain(0), up.loop)
    responses: list[Any] = []
    with contextlib.suppress(grpc.RpcError):
        responses.extend(call)
    return draining.result(timeout=60), responses, call.code()


def test_a_drain_ends_a_stream_that_waits() -> None:
    """UNAVAILABLE, at once, and that is a clean end: nobody half-closes a stream unasked."""
    with serving() as up, up.channel() as channel:
        talk = Talk(Asking(channel))
        talk.say(infer_request(image_of(1)))
        next(talk.call)
        assert drained(up, talk.call) == (True, [], grpc.StatusCode.UNAVAILABLE)
        talk.end()


def test_a_drain_answers_what_was_read() -> None:
    """And then ends the stream."""
    engine = HeldEngine()
    config = replace(TEST_CONFIG, max_wait_s=60.0)
    with serving(config, versions_of(engine, inline=False)) as up, up.channel() as channel:
        talk = Talk(Asking(channel))
        talk.say(infer_request(image_of(1)), infer_request(image_of(2)))
        (stream,) = _open(up)
        while stream.messages < 2:
            up.tasks()
        up.loop.call_soon_threadsafe(up.loop.call_later, 0.05, engine.go.set)
        clean, responses, code = drained(up, talk.call)
        talk.end()
    assert (clean, [digit_of(each) for each in responses]) == (True, [1, 2])
    assert code is grpc.StatusCode.UNAVAILABLE


def test_a_drain_ends_a_stream_whose_line_is_full() -> None:
    """What was read is answered; what its caller sent beyond that is not waited for."""
    engine = HeldEngine()
    config = replace(TEST_CONFIG, max_in_flight_frames=2, max_wait_s=60.0)
    with serving(config, versions_of(engine, inline=False)) as up, up.channel() as channel:
        talk = Talk(Asking(channel))
        talk.say(infer_request(image_of(1)), infer_request(image_of(2)))
        (stream,) = _open(up)
        while stream.messages < 2 or stream._reading:
            up.tasks()
        draining = asyncio.run_coroutine_threadsafe(up.server.drain(0), up.loop)
        while stream.cut is None:
            up.tasks()
        engine.go.set()
        assert [digit_of(next(talk.call)) for _ in range(2)] == [1, 2]
        assert draining.result(timeout=TEST_CONFIG.grace_s / 2) is True
        talk.end()
    assert talk.call.code() is grpc.StatusCode.UNAVAILABLE


def _open(up: Serving) -> list[Any]:
    while not up.server.streams:
        up.tasks()
    return list(up.server.streams)


def test_a_caller_who_goes_leaves_nothing_behind() -> None:
    """His tasks end with him, also while the engine is busy with what he asked."""
    engine = HeldEngine()
    with serving(versions=versions_of(engine, inline=False)) as up, up.channel() as channel:
        before = up.tasks()
        call = Asking(channel).stream([infer_request(image_of(1)) for _ in range(5)])
        assert engine.entered.wait(timeout=10)
        call.cancel()
        while up.server.streams:
            up.tasks()
        engine.go.set()
        while up.tasks() > before:
            pass
        assert digit_of(next(Asking(channel).stream([infer_request(image_of(4))]))) == 4
