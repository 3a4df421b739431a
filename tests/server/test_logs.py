"""The log: a line for each call, and nothing of what was sent in any."""

import asyncio
import json
import logging
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitserve.server.observe.facts import CURRENT, Facts
from digitserve.server.observe.logs import FORMS, CallLog, Lines, struck
from digitserve.v1 import digits_pb2
from support.calls import Nobody
from support.command import server_command
from support.engines import BrokenEngine, InkEngine, image_of
from support.guarded import Tokens, bearer
from support.serving import TEST_CONFIG, serving, versions_of
from support.talk import Talking, frame
from support.workers import connected, workers_of

ALL = replace(TEST_CONFIG, log_calls="all")
TOKEN = "0123456789abcdef." + "s3cr-t_" * 6 + "x"
JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"


@contextmanager
def written(*, as_json: bool = True) -> Iterator[list[str]]:
    """The lines of the server's log, while the block runs."""
    lines: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    kept, logger = Kept(), logging.getLogger("digitserve")
    kept.setFormatter(Lines(as_json=as_json))
    logger.addHandler(kept)
    level, logger.level = logger.level, logging.INFO
    try:
        yield lines
    finally:
        logger.removeHandler(kept)
        logger.level = level


def calls_in(lines: list[str]) -> list[dict[str, Any]]:
    """Those that tell of a call, without what differs each time."""
    told = [json.loads(line) for line in lines]
    return [each for each in told if each["logger"] == "digitserve.server.calls"]


def test_a_call_is_a_line() -> None:
    """Who called what, how it ended, how much it was, how long it took."""
    with written() as lines, serving(ALL, versions_of(InkEngine())) as up:
        with up.digits() as stub:
            stub.Predict(digits_pb2.PredictRequest(pixels=image_of(3) * 2, count=2))
        (line,) = calls_in(lines)
    assert line["peer"].startswith("ipv4:127.0.0.1:")
    expected = {
        "level": "INFO",
        "message": "digitserve.v1.DigitService/Predict OK",
        "method": "digitserve.v1.DigitService/Predict",
        "code": "OK",
        "images": 2,
        "version": 1,
    }
    assert {key: line[key] for key in expected} == expected
    assert 0 <= line["wait_s"] <= line["model_s"] + line["wait_s"] <= line["seconds"]


def test_a_stream_is_a_line_when_it_is_over() -> None:
    """With what came of its frames."""

    async def script(up: Any) -> None:
        async with Talking(up) as talking:
            talk = talking.talk()
            await talk.say(*[frame(image_of(1)), frame(b"?"), frame(image_of(2))])
            await talk.end()

    with written() as lines, serving(ALL, versions_of(InkEngine())) as up:
        asyncio.run(script(up))
        (line,) = calls_in(lines)
    assert (line["code"], line["images"], line["predicted"], line["failed"]) == ("OK", 2, 2, 1)


def test_failures_alone_can_be_told() -> None:
    """With code and reason; what the server is to blame for is an error."""
    config = replace(TEST_CONFIG, log_calls="failures")
    with written() as lines, serving(config, versions_of(BrokenEngine())) as up:
        with up.digits() as stub:
            stub.Predict(digits_pb2.PredictRequest(pixels=image_of(3)))
            for pixels in (b"?", image_of(255)):
                with pytest.raises(grpc.RpcError):
                    stub.Predict(digits_pb2.PredictRequest(pixels=pixels))
        wrong, broken = calls_in(lines)
        (trace,) = [each for each in map(json.loads, lines) if "exception" in each]
    assert (wrong["level"], wrong["code"]) == ("WARNING", "INVALID_ARGUMENT")
    assert (broken["level"], broken["code"], broken["reason"]) == ("ERROR", "INTERNAL", "INTERNAL")
    assert trace["call"] == broken["call"] != wrong["call"]


@pytest.mark.parametrize("told", ["failures", "all"])
def test_a_line_says_who_called(told: str, tmp_path: Path) -> None:
    """By the name of his credential; of who has none, nobody's, whoever called before him."""
    tokens = Tokens(tmp_path)
    metadata = bearer(tokens.add("alice"))
    config = replace(TEST_CONFIG, log_calls=told, tokens=tokens.path)
    wrong = digits_pb2.PredictRequest(pixels=b"?")

    async def script(up: Any) -> None:
        async with Talking(up) as talking:
            talk = talking.talk(metadata=metadata)
            await talk.say(frame(b"?"))
            await talk.end()

    with written() as lines, serving(config, versions_of(InkEngine())) as up:
        with up.digits() as stub:
            for shown in (metadata, None):
                with pytest.raises(grpc.RpcError):
                    stub.Predict(wrong, metadata=shown)
        asyncio.run(script(up))
        said = calls_in(lines)
    assert [(each["code"], each.get("identity")) for each in said] == [
        ("INVALID_ARGUMENT", "alice"),
        ("UNAUTHENTICATED", None),
        ("OK", "alice"),
    ]


def test_no_call_is_told_unless_it_was_asked_for() -> None:
    """What goes wrong inside is, as ever."""
    with written() as lines, serving(versions=versions_of(BrokenEngine())) as up:
        with up.digits() as stub, pytest.raises(grpc.RpcError):
            stub.Predict(digits_pb2.PredictRequest(pixels=image_of(255)))
        assert not calls_in(lines)
        assert any("internal error" in line for line in lines)


def test_nothing_of_what_was_sent_is_in_the_log() -> None:
    """No token, whatever header bears it; no name of a frame; no pixels."""
    sent = bytes(range(1, 255)) + bytes([255] * 530)
    metadata = [("authorization", f"Bearer {TOKEN}"), ("x-api-key", TOKEN), ("digitserve-key", JWT)]

    async def script(up: Any) -> None:
        async with Talking(up) as talking:
            talk = talking.talk(metadata=metadata)
            await talk.say(frame(sent, frame_id="passport-7"), frame(b"?", frame_id="passport-8"))
            await talk.end()

    for as_json in (True, False):
        with written(as_json=as_json) as lines, serving(ALL, versions_of(BrokenEngine())) as up:
            with up.digits() as stub, pytest.raises(grpc.RpcError):
                stub.Predict(
                    digits_pb2.PredictRequest(pixels=bytes([255]) + sent[1:]), metadata=metadata
                )
            asyncio.run(script(up))
        said = "\n".join(lines)
        assert "StreamPredict" in said
        for secret in (TOKEN, "s3cr-t_", JWT, "passport", repr(sent)[2:-1], repr(sent)[20:60]):
            assert secret not in said


@pytest.mark.parametrize("as_json", [True, False])
def test_a_credential_is_struck_out_of_any_line(as_json: bool) -> None:
    """Also out of a message, an argument, an exception that somebody else wrote."""
    logger = logging.getLogger("digitserve.test")
    with written(as_json=as_json) as lines:
        logger.warning("came with Bearer %s", TOKEN)
        logger.warning("{'authorization': 'bearer abc.def'} and %s", JWT)
        try:
            raise RuntimeError(f"{JWT}, {TOKEN}, {bytes(range(200))!r}")
        except RuntimeError:
            logger.exception("broke")
    said = "\n".join(lines)
    for secret in ("s3cr-t_", "eyJ", "abc.def", "x07"):
        assert secret not in said
    assert said.count("struck out") == 6


@given(st.text(), st.text())
def test_a_line_stays_one_line(message: str, name: str) -> None:
    """Whatever is in it: nobody writes a line of his own into the log."""
    record = logging.LogRecord("digitserve.x", logging.INFO, "", 0, "%s", (message,), None)
    record.told = {"identity": name}
    assert len(Lines(as_json=False).format(record).splitlines()) == 1
    line = Lines(as_json=True).format(record)
    assert len(line.splitlines()) == 1
    assert json.loads(line)["identity"] == struck(name)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("form", FORMS)
def test_of_several_workers_a_line_names_its_own(form: str, tmp_path: Path) -> None:
    """Each of its calls, and what goes wrong; the supervisor's lines name none."""
    told = tmp_path / "log"
    flags = ("--workers", "2", "--lame-duck", "0", "--log-form", form, "--log-calls", "all")
    with told.open("w") as log, server_command(*flags, log=log) as command:
        for pid in workers_of(command):
            with connected(command, pid) as (connection,):
                connection.answering()
        command.signal(signal.SIGINT)
        assert command.wait() == 0
    lines = told.read_text(encoding="utf-8").splitlines()
    called = {_worker(line) for line in lines if "/Predict OK" in line}
    assert called == {"0", "1"}
    assert {_worker(line) for line in lines if "is ready" in line} == {None}


def _worker(line: str) -> str | None:
    found = re.search(r'\bworker(?:=|": )(\d+)', line)
    return found and found[1]


@pytest.mark.parametrize("form", FORMS)
def test_the_servers_own_lines_have_the_same_form(form: str) -> None:
    """On stderr; of libraries only warnings."""
    code = (
        "import logging; from digitserve.server.observe.logs import set_up_logs\n"
        f"set_up_logs({form!r})\n"
        "logging.getLogger('digitserve.server.app').info('metrics at %s', 'x')\n"
        "logging.getLogger('else').info('chatter')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    (line,) = done.stderr.splitlines()
    if form == "json":
        assert json.loads(line)["message"] == "metrics at x"
    else:
        assert line.endswith(" INFO digitserve.server.app: metrics at x")


def test_a_flood_is_not_written_line_by_line() -> None:
    """500 a second, and how many more there were."""
    now = [0.0]
    log = CallLog(everything=True, clock=lambda: now[0])
    facts = Facts("a.B/C", Nobody(), streams=False, code="UNAVAILABLE")
    with written() as lines:
        for _ in range(800):
            log.ended(facts)
        now[0] = 1.0
        log.ended(facts)
        assert len(lines) == 502
        assert json.loads(lines[500])["message"].startswith("300 more calls were not told")
    assert CURRENT.get() is None
