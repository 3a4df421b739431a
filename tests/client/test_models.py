"""`client.models`: what a server says of its versions, and changes that are asked once."""

import asyncio
import dataclasses
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import grpc
import pytest

from digitserve.client import (
    Aborted,
    AsyncDigitClient,
    AsyncModels,
    CallError,
    DigitClient,
    FailedPrecondition,
    Models,
    ModelState,
    ModelVersion,
    NotFound,
    PermissionDenied,
    Shadow,
    Unavailable,
    Unimplemented,
)
from digitserve.v1 import models_pb2
from support.model_keeper import BAD, BARE, FULL, NEWER, ModelKeeper, keeping
from support.serving import Serving

Ask = Callable[..., Any]
Kept = tuple[ModelKeeper, str]

# Every change that there is: its name, what it is given, what is sent.
CHANGES: list[tuple[str, tuple[Any, ...], dict[str, Any], Any]] = [
    ("load", (2,), {}, models_pb2.LoadVersionRequest(version=2)),
    ("promote", (2,), {}, models_pb2.PromoteVersionRequest(version=2)),
    (
        "promote", (2,), {"expected_stable": 1},
        models_pb2.PromoteVersionRequest(version=2, expected_stable=1),
    ),
    ("roll_back", (), {}, models_pb2.RollBackVersionRequest()),
    (
        "roll_back", (), {"expected_stable": 2},
        models_pb2.RollBackVersionRequest(expected_stable=2),
    ),
    ("unload", (2,), {}, models_pb2.UnloadVersionRequest(version=2)),
    ("set_label", ("canary", 2), {}, models_pb2.SetLabelRequest(label="canary", version=2)),
    ("set_label", ("canary", None), {}, models_pb2.SetLabelRequest(label="canary")),
]  # fmt: skip
each_change = pytest.mark.parametrize(("method", "arguments", "options", "sent"), CHANGES)


def _ask_sync(address: str | Sequence[str], *calls: Any, timeout: float | None = 30.0) -> list[Any]:
    with DigitClient(address, timeout=timeout) as client:
        return [call(client.models) for call in calls]


def _ask_async(
    address: str | Sequence[str], *calls: Any, timeout: float | None = 30.0
) -> list[Any]:
    async def ask() -> list[Any]:
        async with AsyncDigitClient(address, timeout=timeout) as client:
            return [await call(client.models) for call in calls]

    return asyncio.run(ask())


@pytest.fixture(params=[_ask_sync, _ask_async], ids=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Asks one thing after the other through one client, of either kind."""
    asked: Ask = request.param
    return asked


@pytest.fixture
def kept() -> Iterator[Kept]:
    """A keeper of models and its address."""
    with keeping() as both:
        yield both


def calling(method: str, *arguments: Any, **options: Any) -> Callable[[Any], Any]:
    """Calls a method of `client.models`."""
    return lambda models: getattr(models, method)(*arguments, **options)


def test_both_clients_have_one_vocabulary() -> None:
    """The same methods with the same parameters."""

    def words(of: type) -> dict[str, list[str]]:
        methods = inspect.getmembers(of, inspect.isfunction)
        return {name: list(inspect.signature(each).parameters) for name, each in methods}

    assert words(Models) == words(AsyncModels)
    assert {name for name in words(Models) if not name.startswith("_")} == {
        "list", "load", "promote", "roll_back", "unload", "set_label",
    }  # fmt: skip


class TestAVersion:
    def test_has_every_field(self, kept: Kept, ask: Ask) -> None:
        """In Python's units: seconds, shares, tuples."""
        (versions,) = ask(kept[1], calling("list"))
        assert [each.version for each in versions] == [1, 2, 3]
        assert versions[1] == ModelVersion(
            version=2,
            state=ModelState.READY,
            labels=("canary", "stable"),
            accuracy=0.9951,
            description="a cnn, three seeds",
            reason="",
            engine="litert",
            gate_accuracy=0.9925,
            image_time=41.5e-6,
            rejection_threshold=0.625,
            images=1_234_567,
            shadow=Shadow(400, 397),
        )
        assert versions[2].state is ModelState.REFUSED
        assert versions[2].reason == BAD.reason

    def test_has_none_for_what_was_not_said(self, kept: Kept, ask: Ask) -> None:
        """Which is not zero."""
        zero = models_pb2.ModelVersion(version=2)
        zero.accuracy = zero.gate_accuracy = zero.image_us = zero.rejection_threshold = 0
        zero.shadow.SetInParent()
        kept[0].versions = [BARE, zero]
        ((none, nought),) = ask(kept[1], calling("list"))
        optional = ("accuracy", "gate_accuracy", "image_time", "rejection_threshold")
        assert {getattr(none, name) for name in (*optional, "shadow")} == {None}
        assert {getattr(nought, name) for name in optional} == {0.0}
        assert nought.shadow == Shadow(0, 0)

    def test_may_be_in_a_state_that_is_not_known_yet(self, kept: Kept, ask: Ask) -> None:
        """A newer server's: UNKNOWN."""
        kept[0].versions = [
            models_pb2.ModelVersion(version=1, state=NEWER),
            models_pb2.ModelVersion(version=2),
        ]
        (versions,) = ask(kept[1], calling("list"))
        assert {each.state for each in versions} == {ModelState.UNKNOWN}

    def test_is_frozen(self, kept: Kept, ask: Ask) -> None:
        """So is its shadow."""
        ((_, version, _),) = ask(kept[1], calling("list"))
        for value in (version, version.shadow):
            with pytest.raises(dataclasses.FrozenInstanceError):
                value.images = 3


def test_every_state_of_the_contract_has_its_name() -> None:
    """All but the one that is never sent."""
    numbers = {name.removeprefix("STATE_"): n for name, n in models_pb2.ModelVersion.State.items()}
    assert numbers.pop("UNSPECIFIED") == ModelState.UNKNOWN.value
    known = {state.name: state.value for state in ModelState if state is not ModelState.UNKNOWN}
    assert numbers == known


def test_agreement_is_a_share_of_the_images() -> None:
    """None while there are none."""
    assert Shadow(400, 397).agreement == 0.9925
    assert Shadow(0, 0).agreement is None


@each_change
def test_a_change_is_sent_as_it_was_asked(
    kept: Kept, ask: Ask, method: str, arguments: Any, options: Any, sent: Any
) -> None:
    """And the version that comes back is given to the caller."""
    (answer,) = ask(kept[1], calling(method, *arguments, **options))
    assert kept[0].asked == [sent]
    expected = {"load": FULL, "promote": FULL, "roll_back": BARE}.get(method)
    assert (answer and answer.version) == (expected and expected.version)


def test_loading_may_end_in_a_refusal(kept: Kept, ask: Ask) -> None:
    """Which is an answer, with the reason."""
    (loaded,) = ask(kept[1], calling("load", 3))
    assert (loaded.state, loaded.reason) == (ModelState.REFUSED, BAD.reason)


@pytest.mark.parametrize("version", [-1, 2**64])
def test_a_version_that_cannot_be_is_not_sent(kept: Kept, ask: Ask, version: int) -> None:
    """ValueError, as everywhere."""
    with pytest.raises(ValueError, match="out of range"):
        ask(kept[1], calling("load", version))
    assert kept[0].asked == []


@pytest.mark.parametrize("call", [("list",), *((name, *given) for name, given, *_ in CHANGES)])
def test_a_timeout_reaches_the_server(kept: Kept, ask: Ask, call: Any) -> None:
    """The call's own, or the client's."""
    ask(kept[1], calling(*call), calling(*call, timeout=500.0), timeout=1000.0)
    clients, own = kept[0].left
    assert own < 600 < clients  # gRPC rounds them up, by a hundredth


@pytest.mark.parametrize("call", [("list",), *((name, *given) for name, given, *_ in CHANGES)])
@pytest.mark.parametrize(
    ("code", "reason", "error"),
    [
        (grpc.StatusCode.ABORTED, "PROMOTION_LOST", Aborted),
        (grpc.StatusCode.FAILED_PRECONDITION, "VERSION_REFUSED", FailedPrecondition),
        (grpc.StatusCode.PERMISSION_DENIED, "MODEL_CONTROL_OFF", PermissionDenied),
        (grpc.StatusCode.NOT_FOUND, "VERSION_UNKNOWN", NotFound),
        (grpc.StatusCode.UNIMPLEMENTED, "NOT_SERVED", Unimplemented),
        (grpc.StatusCode.UNAVAILABLE, "DRAINING", Unavailable),
    ],
)
def test_a_refusal_is_raised_with_its_reason(
    kept: Kept, ask: Ask, call: Any, code: grpc.StatusCode, reason: str, error: type[CallError]
) -> None:
    """By every call, and the server was asked once."""
    kept[0].refuse(code, "because", reason)
    with pytest.raises(error) as raised:
        ask(kept[1], calling(*call))
    assert (raised.value.reason, raised.value.message) == (reason, "because")
    assert len(kept[0].asked) == 1


class TestOfSeveralServers:
    @each_change
    def test_a_change_is_asked_of_one(
        self, kept: Kept, ask: Ask, method: str, arguments: Any, options: Any, sent: Any
    ) -> None:
        """Once, however it ends: its answer may be lost although the change was made."""
        first, at_first = kept
        first.refuse(grpc.StatusCode.UNAVAILABLE, "the connection broke")
        with keeping() as (second, at_second):
            for _ in range(2):  # the caller's own second try asks the same one
                with pytest.raises(Unavailable):
                    ask([at_first, at_second], calling(method, *arguments, **options))
            assert (first.asked, second.asked) == ([sent, sent], [])

    @each_change
    def test_a_change_does_not_pass_by_one_that_is_absent(
        self, address: str, ask: Ask, method: str, arguments: Any, options: Any, sent: Any
    ) -> None:
        """It is told so, and goes nowhere else."""
        with keeping() as (second, at_second), pytest.raises(Unavailable):
            ask([address, at_second], calling(method, *arguments, **options))
        assert sent not in second.asked

    def test_the_next_is_asked_for_a_list(self, address: str, kept: Kept, ask: Ask) -> None:
        """When the present one is unavailable; when all are, that is said."""
        ((_, version, _),) = ask([address, kept[1]], calling("list"))
        assert version.version == 2
        kept[0].refuse(grpc.StatusCode.UNAVAILABLE, "draining", "DRAINING")
        with pytest.raises(Unavailable):
            ask([address, kept[1]], calling("list"))

    def test_a_change_goes_where_the_list_came_from(self, kept: Kept, ask: Ask) -> None:
        """What the caller saw is what the caller changes."""
        first, at_first = kept
        first.refuse(grpc.StatusCode.UNAVAILABLE, "draining", "DRAINING")
        with keeping() as (second, at_second):
            ask([at_first, at_second], calling("list"), calling("promote", 2))
            assert [type(each).__name__ for each in first.asked] == ["ListVersionsRequest"]
            assert [type(each).__name__ for each in second.asked] == [
                "ListVersionsRequest",
                "PromoteVersionRequest",
            ]


def test_a_real_server_lists_its_version(serving: Serving, ask: Ask) -> None:
    """The bundled model."""
    ((version,),) = ask(serving.address, calling("list"))
    assert (version.version, version.labels) == (1, ("stable",))
    assert version.state is ModelState.READY
    assert version.accuracy > 0.96
    assert version.description
    assert version.engine in {"litert", "tensorflow"}
