"""The versions of several workers: what one serves all serve, whoever changes it."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from digitserve.client import DigitClient, Unavailable
from digitserve.server.workers.hand import PROMPT_S
from digitserve.v1 import digits_pb2, models_pb2
from support.command import Command
from support.models import place
from support.open_inference import Asking
from support.talk import BLANK
from support.workers import (
    connected,
    loaded,
    meddle,
    refusal,
    replaced,
    serving_workers,
    watching_workers,
    workers_of,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def test_an_operator_speaks_to_all_through_any(bundles: Path) -> None:
    """Promote, label, roll back, unload, load: through either worker, and both follow."""
    place(bundles, 3)
    with watching_workers(bundles) as command, connected(command, *workers_of(command)) as both:
        one, other = (each.models for each in both)

        def answers(**model: Any) -> set[int]:
            return {each.answering(**model) for each in both}

        assert answers() == {3}
        one.PromoteVersion(models_pb2.PromoteVersionRequest(version=2))
        assert answers() == {2}
        other.SetLabel(models_pb2.SetLabelRequest(label="next", version=3))
        assert answers(label="next") == {3}
        one.RollBackVersion(models_pb2.RollBackVersionRequest())
        assert answers() == {3}
        other.LoadVersion(models_pb2.LoadVersionRequest(version=1))
        assert answers(version=1) == {1}
        one.UnloadVersion(models_pb2.UnloadVersionRequest(version=1))
        for each in both:
            request = digits_pb2.PredictRequest(pixels=BLANK, version=1)
            assert refusal(each.digits.Predict, request) == "VERSION_UNKNOWN"
        told = [each.ListVersions(models_pb2.ListVersionsRequest()) for each in (one, other)]
        assert told[0] == told[1]
        # 3 was asked six times, 2 twice: by both together.
        assert {each.version: each.images for each in told[0].versions} == {2: 2, 3: 6}


def test_the_open_inference_protocol_changes_the_versions_of_all(bundles: Path) -> None:
    """What is loaded or unloaded by it, through either worker, is so at both."""
    place(bundles, 3)
    with watching_workers(bundles) as command, connected(command, *workers_of(command)) as both:
        one, other = (Asking(each.channel) for each in both)
        one.ask("RepositoryModelLoad", model_name="digits/1")
        assert [each.answering(version=1) for each in both] == [1, 1]
        assert one.ask("RepositoryIndex") == other.ask("RepositoryIndex")
        other.ask("RepositoryModelUnload", model_name="digits/1")
        told = [list(each.ask("ModelMetadata", name="digits").versions) for each in (one, other)]
        assert told == [["2", "3"], ["2", "3"]]


@pytest.mark.parametrize(
    ("name", "request_", "reason"),
    [
        ("LoadVersion", {"version": 9}, "VERSION_UNKNOWN"),
        ("LoadVersion", {}, "VERSION_MISSING"),
        ("PromoteVersion", {"version": 9}, "VERSION_UNKNOWN"),
        ("PromoteVersion", {"version": 1, "expected_stable": 1}, "PROMOTION_LOST"),
        ("RollBackVersion", {}, "NOTHING_BEFORE"),
        ("UnloadVersion", {"version": 2}, "VERSION_IN_USE"),
        ("SetLabel", {"label": "stable", "version": 2}, "LABEL_INVALID"),
    ],
)
def test_what_cannot_be_is_refused_as_by_one_server(
    two: Command, name: str, request_: dict[str, Any], reason: str
) -> None:
    """With the reason that one process would give."""
    with connected(two, *workers_of(two)) as both:
        for each in both:
            request = getattr(models_pb2, f"{name}Request")(**request_)
            assert refusal(getattr(each.models, name), request) == reason


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """Two workers that nobody changes."""
    folder = tmp_path_factory.mktemp("models")
    place(folder, 2)
    (folder / "models.toml").write_text("", encoding="utf-8")
    with watching_workers(folder) as command:
        yield command


def test_without_leave_nothing_is_changed() -> None:
    """As by one server."""
    with serving_workers() as command, connected(command, workers_of(command)[0]) as (one,):
        request = models_pb2.PromoteVersionRequest(version=1)
        assert refusal(one.models.PromoteVersion, request) == "MODEL_CONTROL_OFF"


def test_nobody_sees_the_old_version_after_a_promotion(bundles: Path) -> None:
    """Under load: every call that begins when it is answered is the new one's."""
    with watching_workers(bundles) as command, loaded(command, 6) as loads:
        with connected(command, workers_of(command)[0]) as (operator,):
            for number, version in enumerate((1, 2, 1, 2, 1), 1):
                operator.models.PromoteVersion(models_pb2.PromoteVersionRequest(version=version))
                for load in loads:
                    load.round = number
                for load in loads:
                    load.grown()
                    assert {seen for asked, seen in load.seen if asked == number} == {version}
        for load in loads:
            load.stop()
        assert [load.failures for load in loads] == [[]] * 6


def test_a_new_version_arrives_at_all(bundles: Path) -> None:
    """It is put into the folder; a bad one after it is refused everywhere."""
    with watching_workers(bundles) as command, connected(command, *workers_of(command)) as both:
        place(bundles, 3)
        while {each.answering() for each in both} != {3}:
            pass
        bad = bundles / ".4"
        place(bundles.parent / "other", 4)
        (bundles.parent / "other" / "4").rename(bad)
        (bad / "model.tflite").write_bytes(b"")
        bad.rename(bundles / "4")
        for each in both:
            request = digits_pb2.PredictRequest(pixels=BLANK, version=4)
            while (why := refusal(each.digits.Predict, request)) != "VERSION_REFUSED":
                assert why in {"VERSION_UNKNOWN", "VERSION_LOADING"}
        assert {each.answering() for each in both} == {3}


def test_a_slow_load_keeps_nobody_from_following(
    bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labels and promotions of others hold at once, and who loads is not taken for dead."""
    go, begun = tmp_path / "go", tmp_path / "begun"
    meddle(
        monkeypatch,
        tmp_path / "code",
        "import pathlib, time\n"
        "from digitserve.server.versions import gates\n"
        "usual = gates.check_accuracy\n"
        "def check(read, *more):\n"
        "    if read.folder.name == '3':\n"
        f"        pathlib.Path({str(begun)!r}).touch()\n"
        f"        while not pathlib.Path({str(go)!r}).exists():\n"
        "            time.sleep(0.01)\n"
        "    return usual(read, *more)\n"
        "gates.check_accuracy = check\n",
    )
    with watching_workers(bundles) as command:
        before = workers_of(command)
        with connected(command, *before) as both:
            place(bundles, 3)
            while not begun.exists():
                pass
            # Far less than a worker has to follow before it is ended.
            models, prompt_s = both[0].models, PROMPT_S / 2
            label = models_pb2.SetLabelRequest(label="next", version=1)
            models.SetLabel(label, timeout=prompt_s)
            assert [each.answering(label="next") for each in both] == [1, 1]
            models.PromoteVersion(models_pb2.PromoteVersionRequest(version=1), timeout=prompt_s)
            assert [each.answering() for each in both] == [1, 1]
            go.touch()
            for each in both:
                request = digits_pb2.PredictRequest(pixels=BLANK, version=3)
                while why := refusal(each.digits.Predict, request):
                    assert why == "VERSION_LOADING"
        assert workers_of(command) == before


def test_what_one_worker_refuses_is_refused_everywhere(
    bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the other had loaded it."""
    meddle(
        monkeypatch,
        tmp_path / "code",
        "from digitserve.server.versions import bundle, gates\n"
        "usual = gates.check_accuracy\n"
        "def check(read, engine, required):\n"
        "    if read.folder.name == '3':\n"
        "        try:\n"
        f"            open({str(tmp_path / 'first')!r}, 'x').close()\n"
        "        except FileExistsError:\n"
        "            raise bundle.BundleError(read.folder, 'not by me') from None\n"
        "    return usual(read, engine, required)\n"
        "gates.check_accuracy = check\n",
    )
    with watching_workers(bundles) as command, connected(command, *workers_of(command)) as both:
        place(bundles, 3)
        for each in both:
            request = digits_pb2.PredictRequest(pixels=BLANK, version=3)
            while refusal(each.digits.Predict, request) != "VERSION_REFUSED":
                pass
            told = each.models.ListVersions(models_pb2.ListVersionsRequest())
            assert [it.reason for it in told.versions if it.version == 3] == ["not by me"]
        assert {each.answering() for each in both} == {2}


def test_a_version_that_ends_its_readers_is_refused(
    bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One worker at a time dies of it; the service goes on."""
    meddle(
        monkeypatch,
        tmp_path / "code",
        "import os\n"
        "from digitserve.server.versions import gates\n"
        "usual = gates.check_accuracy\n"
        "gates.check_accuracy = lambda read, *more: (\n"
        "    os._exit(9) if read.folder.name == '3' else usual(read, *more))\n",
    )
    with watching_workers(bundles) as command:
        place(bundles, 3)
        with DigitClient(command.address) as client:
            why = ""
            while not why:
                with suppress(Unavailable):  # the worker that we are connected to died of it
                    assert client.predict(BLANK).version == 2
                    why = "".join(it.reason for it in client.models.list())
            assert why == "ended the workers that read it"
        command.signal(signal.SIGINT)
        assert command.wait() == 0


def test_a_network_that_breaks_is_rolled_back_everywhere(
    bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three turns in a row in one worker, and the other answers with what was stable before."""
    meddle(
        monkeypatch,
        tmp_path / "code",
        "from digitserve.server.engines import litert\n"
        "usual = litert.LiteRTEngine.predict\n"
        "def predict(self, images):\n"
        "    if (images[:, 0, 0] == 255).any():\n"
        "        raise RuntimeError('not for callers')\n"
        "    return usual(self, images)\n"
        "litert.LiteRTEngine.predict = predict\n",
    )
    (bundles / "models.toml").write_text("", encoding="utf-8")
    with watching_workers(bundles) as command, connected(command, *workers_of(command)) as both:
        one, other = both
        for _ in range(3):
            request = digits_pb2.PredictRequest(pixels=bytes([255]) + bytes(783))
            assert refusal(one.digits.Predict, request) == "INTERNAL"
        while {each.answering() for each in both} != {1}:
            pass
        told = other.models.ListVersions(models_pb2.ListVersionsRequest())
        (reason,) = [each.reason for each in told.versions if each.version == 2]
        assert reason == "rolled back: 3 turns broken in a row (RuntimeError)"


def test_who_comes_late_serves_what_all_serve(bundles: Path) -> None:
    """What was decided by hand holds for the worker that takes a dead one's place."""
    place(bundles, 3)
    with watching_workers(bundles) as command:
        before = workers_of(command)
        with connected(command, before[0]) as (operator,):
            operator.models.PromoteVersion(models_pb2.PromoteVersionRequest(version=2))
            operator.models.SetLabel(models_pb2.SetLabelRequest(label="next", version=3))
        os.kill(before[0], signal.SIGKILL)
        late = replaced(command, before)
        with connected(command, late, before[1]) as both:
            assert [each.answering() for each in both] == [2, 2]
            assert [each.answering(label="next") for each in both] == [3, 3]
            told = [each.models.ListVersions(models_pb2.ListVersionsRequest()) for each in both]
            assert told[0] == told[1]
