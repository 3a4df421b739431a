"""A pipeline is closed, or its server goes: whoever waits is told, or answered by the next."""

import signal
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import grpc
import pytest

from digitserve.client import CallError, Prediction, Unavailable
from support.callers import Callers, Tasks, calling, digits_of, error_of
from support.command import server_command
from support.engines import HeldEngine, InkEngine, image_of
from support.serving import TEST_CONFIG, serving, versions_of

KIND = pytest.mark.parametrize("kind", ["tasks", "threads"])
NOWHERE = "127.0.0.1:1"


class TestClosing:
    @KIND
    def test_tells_whoever_waits(self, kind: str) -> None:
        """CANCELLED for each; nobody hangs, and whoever asks later is told as well."""
        engine = HeldEngine()
        with (
            serving(versions=versions_of(engine, inline=False)) as up,
            calling(kind, up.address) as callers,
        ):
            asked = callers.ask_together(range(10))
            assert engine.entered.wait(timeout=30)
            callers.close()
            asked.append(callers.ask(image_of(1)))
            callers.close()  # once more changes nothing
            errors = [error_of(each) for each in asked]
            engine.go.set()
        assert {type(error) for error in errors} == {CallError}
        assert {error.code for error in errors if isinstance(error, CallError)} == {
            grpc.StatusCode.CANCELLED
        }

    @KIND
    def test_may_come_while_others_begin_to_ask(self, kind: str) -> None:
        """Each is answered, or told."""
        with serving(versions=versions_of(InkEngine())) as up, calling(kind, up.address) as callers:
            asked: list[Future[Prediction]] = []
            with ThreadPoolExecutor(1) as side:
                closing = side.submit(callers.close)
                while not closing.done():
                    asked.append(callers.ask(image_of(1)))
            errors = [error_of(each) for each in [*asked, callers.ask(image_of(1))]]
        assert {type(error) for error in errors} <= {type(None), CallError}
        assert isinstance(errors[-1], CallError)

    def test_may_be_the_clients(self) -> None:
        """Whose connection it shares: whoever waits is told, and whoever asks later."""
        engine = HeldEngine()
        with (
            serving(versions=versions_of(engine, inline=False)) as up,
            calling("tasks", up.address) as callers,
        ):
            asked = callers.ask_together(range(10))
            assert engine.entered.wait(timeout=30)
            assert isinstance(callers, Tasks)
            callers.run(callers.client.close())
            asked.append(callers.ask(image_of(1)))
            errors = [error_of(each) for each in asked]
            engine.go.set()
        assert [str(error) for error in errors] == ["CANCELLED: the client is closed"] * 11

    @KIND
    def test_may_come_before_anybody_asked(self, kind: str) -> None:
        """It never connects."""
        with calling(kind, NOWHERE) as callers:
            callers.close()
            error = error_of(callers.ask(image_of(1)))
        assert isinstance(error, CallError)
        assert error.code is grpc.StatusCode.CANCELLED


class TestAServer:
    @KIND
    def test_that_was_never_there(self, kind: str) -> None:
        """Unavailable for each, again and again; one of two is enough."""
        with calling(kind, NOWHERE) as callers:
            for _ in range(3):
                errors = [error_of(each) for each in callers.ask_together(range(5))]
                assert [type(each) for each in errors] == [Unavailable] * 5
        with (
            serving(versions=versions_of(InkEngine())) as up,
            calling(kind, [NOWHERE, up.address]) as callers,
        ):
            assert digits_of(callers.ask_together(range(5))) == list(range(5))

    @KIND
    def test_that_is_killed_in_mid_batch(self, address: str, kind: str) -> None:
        """Everybody is told within `resume`; and answered when it is there again."""
        with calling(kind, address, resume=0.5) as callers:
            with server_command("--address", address) as command:
                asked = _asked_in_mid_batch(callers, command.signal)
            errors = [error_of(each) for each in asked]
            assert [type(each) for each in errors] == [Unavailable] * 20
            with server_command("--address", address):
                give_up = time.monotonic() + 60
                while error_of(callers.ask(image_of(1))) is not None:
                    assert time.monotonic() < give_up

    @KIND
    def test_that_is_killed_and_comes_back(self, address: str, kind: str) -> None:
        """What had no answer is sent again, and everybody is answered."""
        with calling(kind, address, resume=60) as callers:
            with server_command("--address", address) as command:
                asked = _asked_in_mid_batch(callers, command.signal)
            with server_command("--address", address):
                assert all(error_of(each) is None for each in asked)

    @KIND
    def test_that_drains_loses_nothing(self, address: str, kind: str) -> None:
        """Calls go on all the while, and another server takes its place."""
        config = replace(TEST_CONFIG, addresses=(address,))
        asked: list[Future[Prediction]] = []
        with ExitStack() as servers, ThreadPoolExecutor(1) as side:
            first = servers.enter_context(serving(config, versions_of(InkEngine())))

            def restart() -> None:
                assert first.run(first.server.drain(0)) is True
                servers.enter_context(serving(config, versions_of(InkEngine())))

            with calling(kind, address) as callers:
                restarting: Future[None] | None = None
                while restarting is None or not restarting.done():
                    turn = [callers.ask(image_of(at % 10)) for at in range(16)]
                    asked += turn
                    turn[0].result(60)
                    restarting = restarting or side.submit(restart)
                restarting.result()
                asked += [callers.ask(image_of(at % 10)) for at in range(16)]
                assert digits_of(asked) == [at % 10 for at in range(16)] * (len(asked) // 16)


def _asked_in_mid_batch(callers: Callers, send: Any) -> "list[Future[Prediction]]":
    """Asks a server that has stopped in its tracks, and then kills it."""
    assert callers.ask(image_of(1)).exception(60) is None
    send(signal.SIGSTOP)
    asked = callers.ask_together(range(20))
    send(signal.SIGKILL)
    return asked
