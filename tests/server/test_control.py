"""ModelService's changes over the wire, canaries and shadows: who answers whom."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_status import rpc_status

from digitserve.client import DigitClient, Frame, Predicted
from digitserve.server.versions.settings import read_settings
from digitserve.v1 import digits_pb2, models_pb2, models_pb2_grpc
from support.engines import HeldEngine, InkEngine, image_of
from support.models import answering, place, watching
from support.serving import TEST_CONFIG, Serving, serving, versions_of
from support.talk import BLANK, frame, reason_of

_CANARY = """
labels = { stable = 3, canary = 4 }
canary = { label = "canary", share = 0.3 }
"""


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Serving]:
    """A server whose newest two of three versions are loaded."""
    place(tmp_path, 1, 2, 3)
    with watching(tmp_path) as serving_:
        yield serving_


def refused(call: Any, request: Any) -> tuple[grpc.StatusCode, str]:
    """How a change is refused."""
    with pytest.raises(grpc.RpcError) as raised:
        call(request)
    return raised.value.code(), reason_of(rpc_status.from_call(raised.value))


def test_an_operator_has_the_last_word(up: Serving) -> None:
    """Load, promote, label, roll back, unload: through the client, as the command does."""
    with DigitClient(up.address) as client:
        models = client.models
        assert models.load(1).version == 1
        assert [each.version for each in models.list()] == [1, 2, 3]
        assert models.promote(1, expected_stable=3).labels == ("stable",)
        assert answering(up) == 1
        models.set_label("next", 3)
        assert answering(up, label="next") == 3
        assert models.roll_back().version == 3
        models.unload(1)
        assert [each.version for each in models.list()] == [2, 3]
        up.run(up.server.watch.look())
        assert [each.version for each in models.list()] == [2, 3]
        (two, three) = models.list()
        assert three.labels == ("next", "stable")
        assert three.images == 1
        assert two.gate_accuracy is not None
        assert two.gate_accuracy > 0.97
        assert two.image_time is not None


@pytest.mark.parametrize(
    ("name", "request_", "code", "reason"),
    [
        ("LoadVersion", {"version": 9}, "NOT_FOUND", "VERSION_UNKNOWN"),
        ("LoadVersion", {}, "INVALID_ARGUMENT", "VERSION_MISSING"),
        ("PromoteVersion", {"version": 1}, "NOT_FOUND", "VERSION_UNKNOWN"),
        ("PromoteVersion", {"version": 2, "expected_stable": 1}, "ABORTED", "PROMOTION_LOST"),
        ("RollBackVersion", {"expected_stable": 1}, "ABORTED", "PROMOTION_LOST"),
        ("UnloadVersion", {"version": 3}, "FAILED_PRECONDITION", "VERSION_IN_USE"),
        ("UnloadVersion", {"version": 9}, "NOT_FOUND", "VERSION_UNKNOWN"),
        ("SetLabel", {"label": "stable", "version": 2}, "INVALID_ARGUMENT", "LABEL_INVALID"),
        ("SetLabel", {"label": "next", "version": 9}, "NOT_FOUND", "VERSION_UNKNOWN"),
        ("SetLabel", {"label": "next", "version": 0}, "INVALID_ARGUMENT", "VERSION_MISSING"),
    ],
)
def test_what_cannot_be_is_refused(
    up: Serving, name: str, request_: dict[str, Any], code: str, reason: str
) -> None:
    """With a code and a reason; what answers goes on."""
    with up.models() as stub:
        request = getattr(models_pb2, f"{name}Request")(**request_)
        assert refused(getattr(stub, name), request) == (grpc.StatusCode[code], reason)
    assert answering(up) == 3


@pytest.mark.parametrize(
    "name", ["LoadVersion", "PromoteVersion", "RollBackVersion", "UnloadVersion", "SetLabel"]
)
def test_without_leave_nothing_is_changed(serving: Serving, name: str) -> None:
    """PERMISSION_DENIED, unless the server was started with `--model-control`."""
    with serving.models() as stub:
        request = getattr(models_pb2, f"{name}Request")()
        said = refused(getattr(stub, name), request)
    assert said == (grpc.StatusCode.PERMISSION_DENIED, "MODEL_CONTROL_OFF")


def configured(up: Serving, tmp_path: Path, text: str) -> None:
    """Has the server go by these settings."""
    (tmp_path / "models.toml").write_text(text)

    async def configure() -> None:
        up.server.registry.configure(read_settings(tmp_path / "models.toml"))

    up.run(configure())


def canaried(up: Serving, key: str) -> bool:
    """Whether the canary answers a unary caller of this name."""
    with up.digits() as stub:
        request = digits_pb2.PredictRequest(pixels=BLANK)
        answer = stub.Predict(request, metadata=(("digitserve-key", key),))
    return int(answer.model_version) == 4


def test_a_canary_that_is_not_there_gets_nobody(tmp_path: Path) -> None:
    """Stable answers all."""
    with serving_versions() as up:
        configured(up, tmp_path, "labels.stable = 3\ncanary = { label = 'canary', share = 1 }")
        assert answering(up) == 3


def test_a_canary_answers_its_callers(tmp_path: Path) -> None:
    """By their key, always the same ones; not those who name a version."""
    with serving_versions() as up, up.digits() as stub:
        configured(up, tmp_path, _CANARY)

        def answered(key: str, **model: Any) -> int:
            request = digits_pb2.PredictRequest(pixels=BLANK, **model)
            return int(stub.Predict(request, metadata=(("digitserve-key", key),)).model_version)

        keys = [f"service-{number}" for number in range(60)]
        said = {key: answered(key) for key in keys}
        assert 6 < list(said.values()).count(4) < 32
        assert said == {key: answered(key) for key in keys}
        assert {answered(key, label="stable") for key in keys} == {3}
        assert {answered(key, version=4) for key in keys} == {4}


def test_a_client_names_itself(tmp_path: Path) -> None:
    """In calls, streams and pipelines alike: one client is the canary's, or it is not."""
    with serving_versions() as up:
        configured(up, tmp_path, _CANARY)
        for key in ("service-1", "service-2", "service-3", "service-4"):
            expected = 4 if canaried(up, key) else 3
            with DigitClient(up.address, key=key) as client, client.pipeline() as pipeline:
                (outcome,) = client.stream([Frame(BLANK, frame_id="any")])
                assert isinstance(outcome, Predicted)
                told = {client.predict(BLANK), pipeline.predict(BLANK), outcome.predictions[0]}
            assert {each.version for each in told} == {expected}


def test_a_canary_answers_its_frames(tmp_path: Path) -> None:
    """By their ids, in one stream, in order, as unary callers with such keys are."""
    with serving_versions() as up, up.digits() as stub:
        configured(up, tmp_path, _CANARY)
        ids = [f"frame-{number}" for number in range(200)]
        frames = [frame(image_of(at % 10), frame_id=name) for at, name in enumerate(ids)]
        replies = list(stub.StreamPredict(iter(frames), timeout=20))
        alone = [canaried(up, name) for name in ids]
        keyed = list(
            stub.StreamPredict(iter(frames), metadata=(("digitserve-key", "me"),), timeout=20)
        )
    assert [reply.sequence for reply in replies] == list(range(200))
    assert [reply.predicted.predictions[0].digit for reply in replies] == [
        n % 10 for n in range(200)
    ]
    assert [reply.predicted.model_version == 4 for reply in replies] == alone
    assert 30 < sum(alone) < 90
    assert len({reply.predicted.model_version for reply in keyed}) == 1


def test_a_shadow_is_asked_and_never_answers(tmp_path: Path) -> None:
    """What it says is compared; ModelService tells how often it agreed."""
    with serving_versions(OffByOne()) as up, up.digits() as stub:
        configured(up, tmp_path, "labels = { stable = 3, next = 4 }\nshadow.label = 'next'")
        replies = list(
            stub.StreamPredict(iter([frame(image_of(at % 10)) for at in range(20)]), timeout=20)
        )
        replies += list(stub.StreamPredict(iter([frame(image_of(2) * 3, count=3)]), timeout=20))
        assert {reply.predicted.model_version for reply in replies} == {3}
        shadow = models_pb2.Shadow()
        while shadow.images < 23:
            (_, four) = listed(up)
            shadow = four.shadow
    assert (shadow.images, shadow.agreed) == (23, 13)


def test_bad_frames_that_share_a_turn_are_one_failure() -> None:
    """A stream repeats its broken turn frame by frame; that alone costs no version its place."""
    engine = HeldAndBroken()
    versions = [*versions_of(InkEngine()), *versions_of(engine, inline=False)]
    versions[0].number, versions[1].number = 3, 4
    with serving(versions=versions) as up, up.digits() as stub:

        def frames() -> Iterator[digits_pb2.StreamPredictRequest]:
            yield frame(image_of(1))
            assert engine.entered.wait(timeout=60)  # its turn is its own
            yield from (frame(image_of(255)), frame(image_of(255)))

        call = stub.StreamPredict(frames(), timeout=60)
        assert engine.entered.wait(timeout=60)
        while sum(stream.messages for stream in up.server.streams) < 3:
            up.tasks()
        engine.go.set()
        outcomes = [reply.WhichOneof("outcome") for reply in call]
        assert outcomes == ["predicted", "failed", "failed"]
        assert (answering(up), up.server.registry.rollbacks) == (4, 0)
    assert engine.batches[:2] == [1, 2]


class HeldAndBroken(HeldEngine):
    """Holds its first turn, and breaks at an image that begins with 255."""

    def predict(self, images: Any) -> Any:
        answer = super().predict(images)
        if (images[:, 0, 0] == 255).any():
            raise RuntimeError("not for callers")
        return answer


def test_a_broken_shadow_harms_nobody(tmp_path: Path) -> None:
    """It is asked, has not agreed, and the next is asked again."""
    with serving_versions(Broken()) as up, up.digits() as stub:
        configured(up, tmp_path, "labels = { stable = 3, next = 4 }\nshadow.label = 'next'")
        for _ in range(5):
            stub.Predict(digits_pb2.PredictRequest(pixels=BLANK))
        shadow = models_pb2.Shadow()
        while shadow.images < 5:
            (_, four) = listed(up)
            shadow = four.shadow
        assert shadow.agreed == 0
        assert answering(up) == 3
    assert up.server.registry.rollbacks == 0


class OffByOne(InkEngine):
    """Reads every odd digit as the next."""

    def predict(self, images: Any) -> Any:
        return super().predict(images + images % 2)


class Broken(InkEngine):
    """Reads nothing."""

    def predict(self, images: Any) -> Any:
        raise RuntimeError(f"not for callers: {len(images)} images")


def serving_versions(other: InkEngine | None = None) -> Any:
    """A server with the versions 3 and 4; the latter may have another engine."""
    versions = [*versions_of(InkEngine()), *versions_of(other or InkEngine())]
    versions[0].number, versions[1].number = 3, 4
    return serving(replace(TEST_CONFIG, model_control=True), versions)


def listed(up: Serving) -> Any:
    """What ModelService lists."""
    with up.channel() as channel:
        stub = models_pb2_grpc.ModelServiceStub(channel)
        return stub.ListVersions(models_pb2.ListVersionsRequest()).versions
