"""A folder of bundles under a running server: what comes, what goes, what is refused."""

import asyncio
import errno
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from digitserve.server.app import Server
from digitserve.server.versions.bundle import BundleError
from digitserve.v1 import digits_pb2, models_pb2
from support.models import CONFIG, answering, place, watching
from support.serving import Serving, serving
from support.talk import BLANK, Talking, frame, reason_of

READY = models_pb2.ModelVersion.STATE_READY
REFUSED = models_pb2.ModelVersion.STATE_REFUSED


def cut(bundle: Path) -> None:
    """Truncates its network."""
    network = bundle / "model.tflite"
    network.write_bytes(network.read_bytes()[:1000])


def look(up: Serving) -> None:
    """Lets the server look at its folder."""
    up.run(up.server.watch.look())


def states(up: Serving) -> dict[int, int]:
    """Each version's state, as ModelService tells."""
    with up.models() as stub:
        versions = stub.ListVersions(models_pb2.ListVersionsRequest()).versions
    return {each.version: each.state for each in versions}


def test_a_new_version_takes_over(tmp_path: Path) -> None:
    """The newest two stay; what is older goes."""
    place(tmp_path, 1)
    with watching(tmp_path) as up:
        assert answering(up) == 1
        place(tmp_path, 2, 5)
        look(up)
        assert answering(up) == 5
        assert states(up) == {2: READY, 5: READY}
        with up.digits() as stub, pytest.raises(grpc.RpcError) as raised:
            stub.Predict(digits_pb2.PredictRequest(pixels=BLANK, version=1))
        assert raised.value.code() is grpc.StatusCode.NOT_FOUND


def test_the_server_looks_by_itself(tmp_path: Path) -> None:
    """Again and again, also after it could not read something."""
    place(tmp_path, 1)
    (tmp_path / "models.toml").write_text("")
    config = replace(CONFIG, models=tmp_path, watch_s=0.01)
    with serving(config) as up:
        (tmp_path / "models.toml").write_text("nonsense")
        place(tmp_path, 2)
        while states(up).get(2) != READY:
            up.tasks()
        assert answering(up) == 2


def test_a_stream_sees_the_swap_in_its_answers(tmp_path: Path) -> None:
    """Frame by frame: no answer is lost, and each says which version gave it."""
    place(tmp_path, 1)

    async def scenario(up: Serving) -> None:
        async with Talking(up) as server:
            talk = server.talk()
            await talk.say(frame())
            assert (await talk.hear()).predicted.model_version == 1
            place(tmp_path, 2)
            await asyncio.to_thread(look, up)
            await talk.say(frame())
            assert (await talk.hear()).predicted.model_version == 2
            assert await talk.end() == ([], grpc.StatusCode.OK)

    with watching(tmp_path) as up:
        asyncio.run(scenario(up))


def test_what_is_broken_is_kept_out_and_says_why(tmp_path: Path) -> None:
    """The old one goes on; whoever names the broken one is told, without our folders."""
    place(tmp_path, 1)
    with watching(tmp_path) as up:
        place(tmp_path, 2)
        cut(tmp_path / "2")
        look(up)
        assert answering(up) == 1
        assert states(up) == {1: READY, 2: REFUSED}
        with up.digits() as stub, pytest.raises(grpc.RpcError) as raised:
            stub.Predict(digits_pb2.PredictRequest(pixels=BLANK, version=2))
    status = rpc_status.from_call(raised.value)
    assert raised.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert reason_of(status) == "VERSION_REFUSED"
    assert "version 2 was refused: model.tflite: expected" in status.message
    assert any(each.Is(error_details_pb2.PreconditionFailure.DESCRIPTOR) for each in status.details)


def test_what_was_refused_is_tried_again_once_it_changes(tmp_path: Path) -> None:
    """And not before; until then the newest two are two others."""
    place(tmp_path, 1, 2)
    with watching(tmp_path) as up:
        place(tmp_path, 3)
        cut(tmp_path / "3")
        look(up)
        look(up)
        assert up.server.registry.refusals == 1
        assert states(up) == {1: READY, 2: READY, 3: REFUSED}
        shutil.rmtree(tmp_path / "3")
        place(tmp_path, 3)
        look(up)
        assert states(up) == {2: READY, 3: READY}
        assert answering(up) == 3


@pytest.mark.parametrize("unread", ["manifest.json", "model.tflite"])
def test_what_could_not_be_read_is_tried_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    unread: str,
) -> None:
    """At each look, though no file changed; until then it is refused, once, and in one line."""
    place(tmp_path, 1, 2)
    usual = Path.open

    def open_(path: Path, *how: Any, **more: Any) -> Any:
        if path == tmp_path / "3" / unread:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return usual(path, *how, **more)

    with watching(tmp_path) as up:
        place(tmp_path, 3)
        with monkeypatch.context() as patch:
            patch.setattr(Path, "open", open_)
            for _ in range(3):
                look(up)
                assert states(up) == {1: READY, 2: READY, 3: REFUSED}
        assert (up.server.registry.refusals, caplog.text.count("refused")) == (1, 1)
        look(up)
        assert (answering(up), states(up)) == (3, {2: READY, 3: READY})


def test_what_is_gone_is_let_go(tmp_path: Path) -> None:
    """But not the last that answers."""
    place(tmp_path, 1, 2)
    with watching(tmp_path) as up:
        shutil.rmtree(tmp_path / "2")
        look(up)
        assert (answering(up), states(up)) == (1, {1: READY})
        shutil.rmtree(tmp_path / "1")
        look(up)
        assert answering(up) == 1


def test_what_the_settings_say_is_followed(tmp_path: Path) -> None:
    """Pins and labels move, policies load and let go; a mistake changes nothing."""
    place(tmp_path, 1, 2, 3)
    settings = tmp_path / "models.toml"
    with watching(tmp_path, "labels = { stable = 1, next = 2 }\npolicy.latest = 1") as up:
        assert states(up) == {1: READY, 2: READY, 3: READY}
        assert (answering(up), answering(up, label="next")) == (1, 2)
        settings.write_text("labels = { next = 3 }\npolicy.specific = [2, 3]")
        look(up)
        assert (answering(up), answering(up, label="next")) == (3, 3)  # nothing is pinned now
        settings.write_text("labels = { stable = 2 }\npolicy.specific = [2, 3]")
        look(up)
        assert (answering(up), states(up)) == (2, {2: READY, 3: READY})
        settings.write_text("labels = 5")
        look(up)
        assert answering(up) == 2


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("labels.stable = 2", r"model\.tflite: expected"),
        ("labels.stable = 7", "stable is to be version 7, which is not there"),
        ("policy.specific = [2]", r"model\.tflite: expected"),
        ("policy.specific = [9]", "no version is wanted"),
        ("policy.some = 9", r"models\.toml: policy\.some: no such key"),
    ],
)
def test_what_cannot_be_as_it_is_said_does_not_start(
    tmp_path: Path, settings: str, told: str
) -> None:
    """A pin that is refused, or nothing that could answer."""
    place(tmp_path, 1, 2)
    cut(tmp_path / "2")
    (tmp_path / "models.toml").write_text(settings)

    async def start() -> None:
        await Server(replace(CONFIG, models=tmp_path)).start()

    with pytest.raises(BundleError, match=told):
        asyncio.run(start())


def test_a_folder_with_something_good_starts(tmp_path: Path) -> None:
    """What is broken in it is kept out, and listed."""
    place(tmp_path, 1, 2)
    cut(tmp_path / "2")
    with watching(tmp_path) as up:
        assert (answering(up), states(up)) == (1, {1: READY, 2: REFUSED})


def test_what_broke_at_work_is_not_tried_again(tmp_path: Path) -> None:
    """It stays refused, and loaded by nobody, until its files change."""
    place(tmp_path, 1)
    with watching(tmp_path) as up:
        place(tmp_path, 2)
        look(up)

        async def break_it() -> None:
            version = up.server.registry.resolve(2, None)
            version.failures = 3
            assert version.on_failure is not None
            version.on_failure(version, RuntimeError())

        up.run(break_it())
        look(up)
        assert (answering(up), states(up)) == (1, {1: READY, 2: REFUSED})
        (tmp_path / "2" / "manifest.json").touch()
        look(up)
        assert (answering(up), states(up)) == (1, {1: READY, 2: READY})


def test_a_load_that_is_given_up_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asked went away: the version is loaded by the next look all the same."""
    place(tmp_path, 1)
    with watching(tmp_path) as up:
        place(tmp_path, 2)

        async def given_up() -> None:
            loading = asyncio.ensure_future(up.server.watch.load(2))
            while 2 not in up.server.registry.known:  # noqa: ASYNC110 - turns, not time
                await asyncio.sleep(0)
            loading.cancel()
            await asyncio.wait({loading})

        up.run(given_up())
        assert states(up) == {1: READY}
        look(up)
        assert answering(up) == 2


def test_a_folder_that_is_away_changes_nothing(tmp_path: Path) -> None:
    """Neither who answers nor what bears which label, nor what is pinned."""
    models = tmp_path / "models"
    place(models, 1, 2)
    with watching(models, "labels = { stable = 1, next = 2 }") as up:
        models.rename(tmp_path / "away")
        look(up)
        assert (answering(up), answering(up, label="next")) == (1, 2)
        (tmp_path / "away").rename(models)
        place(models, 3)
        look(up)
        assert answering(up) == 1


def test_what_other_gates_refused_gets_another_chance(tmp_path: Path) -> None:
    """As when a gate set was misnamed."""
    place(tmp_path, 1)
    settings = tmp_path / "models.toml"
    with watching(tmp_path) as up:
        settings.write_text("gates.set = 'missing.npz'")
        place(tmp_path, 2)
        look(up)
        assert states(up) == {1: READY, 2: REFUSED}
        settings.write_text("")
        look(up)
        assert (answering(up), states(up)) == (2, {1: READY, 2: READY})


@pytest.mark.parametrize("name", ["007", "0", str(2**64), "-1", "1.5"])
def test_what_is_not_called_as_a_version_is_none(tmp_path: Path, name: str) -> None:
    """One number has one name, and fits the contract."""
    place(tmp_path, 1)
    (tmp_path / name).mkdir()
    with watching(tmp_path) as up:
        assert states(up) == {1: READY}


def test_what_nobody_foresaw_refuses_a_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log has the reason; the others go on, and so does the looking."""
    place(tmp_path, 1)
    with watching(tmp_path) as up:
        place(tmp_path, 2)
        monkeypatch.setattr("digitserve.server.versions.loading.measured", None)
        look(up)
        look(up)
        assert (answering(up), states(up)) == (1, {1: READY, 2: REFUSED})
