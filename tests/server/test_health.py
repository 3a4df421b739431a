"""Health tells the truth: what lives, what is ready, and when that changes."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner
from grpc_health.v1 import health_pb2, health_pb2_grpc

from digitserve.client import DigitClient, Health
from digitserve.client.cli import main
from support.engines import InkEngine
from support.serving import Serving, serving, versions_of

_WAIT_S = 30
READY = ["", "readiness", "digitserve.v1.DigitService", "digitserve.v1.ModelService"]
_PROMPT_S = 0.1


@pytest.fixture
def up() -> Iterator[Serving]:
    """A server with one version."""
    with serving(versions=versions_of(InkEngine())) as up:
        yield up


def asked(up: Serving, service: str) -> Health:
    """What one check says."""
    with DigitClient(up.address) as client:
        return client.health(service)


class Watching:
    """A watch, and how long each change took to come."""

    def __init__(self, channel: Any, service: str) -> None:
        request = health_pb2.HealthCheckRequest(service=service)
        self._watch = health_pb2_grpc.HealthStub(channel).Watch(request, timeout=_WAIT_S)

    def next(self) -> tuple[Health, float]:
        """What it says next, and the instant of that."""
        told = Health(next(self._watch).status)
        return told, time.monotonic()


@pytest.mark.parametrize("service", [*READY, "liveness"])
def test_a_server_that_serves_lives_and_is_ready(up: Serving, service: str) -> None:
    """By every name that it has."""
    assert asked(up, service) is Health.SERVING


@pytest.mark.parametrize("service", READY)
def test_readiness_follows_the_registry(up: Serving, service: str) -> None:
    """Nothing stable: not ready; ready as soon as there is something; told within 100 ms."""
    (version,) = versions_of(InkEngine())
    version.number = 2  # what was stable once, and went, does not become so by itself

    async def forget() -> float:
        up.server.registry.forget(1)
        return time.monotonic()

    async def publish() -> float:
        up.server.registry.publish([version])
        return time.monotonic()

    with up.channel() as channel:
        watching = Watching(channel, service)
        assert watching.next()[0] is Health.SERVING
        for change, expected in ((forget, Health.NOT_SERVING), (publish, Health.SERVING)):
            changed = up.run(change())
            told, at = watching.next()
            assert told is expected
            assert at - changed < _PROMPT_S
            assert asked(up, service) is expected
            assert asked(up, "liveness") is Health.SERVING


def test_a_server_without_a_model_lives_and_is_not_ready() -> None:
    """From its start."""
    with serving(versions=[]) as up:
        assert asked(up, "") is Health.NOT_SERVING
        assert asked(up, "liveness") is Health.SERVING


@pytest.mark.parametrize("service", READY)
def test_a_drain_is_told_from_its_first_moment(up: Serving, service: str) -> None:
    """While calls are still served; and the process lives until its end."""
    with up.channel() as channel, up.channel() as other:
        watching, living = Watching(channel, service), Watching(other, "liveness")
        assert watching.next()[0] is Health.SERVING
        assert living.next()[0] is Health.SERVING
        begun = time.monotonic()
        draining = asyncio.run_coroutine_threadsafe(up.server.drain(0.5), up.loop)
        told, at = watching.next()
        assert told is Health.NOT_SERVING
        assert at - begun < _PROMPT_S
        assert asked(up, "liveness") is Health.SERVING
        assert asked(up, service) is Health.NOT_SERVING
        with DigitClient(up.address) as client:
            assert client.predict(bytes(784)).digit == 0
        assert draining.result(timeout=20) is True


def test_a_model_that_comes_during_a_drain_makes_nothing_ready(up: Serving) -> None:
    """Who leaves does not come back."""
    (version,) = versions_of(InkEngine())
    version.number = 2

    async def swap() -> None:
        up.server.registry.forget(1)
        up.server.registry.publish([version])

    draining = asyncio.run_coroutine_threadsafe(up.server.drain(0.5), up.loop)
    up.run(swap())
    assert asked(up, "") is Health.NOT_SERVING
    draining.result(timeout=20)


def test_the_command_asks_by_name(up: Serving) -> None:
    """`digitserve health --service readiness`, as an exec probe does."""
    for name in ("readiness", "liveness"):
        result = CliRunner().invoke(main, ["health", "--service", name, "--address", up.address])
        assert (result.exit_code, result.output) == (0, "SERVING\n")
