"""What is told of server and model, what changes versions, and who may."""

import json
from collections.abc import Iterator
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import grpc
import pytest

from support.engines import BrokenEngine, InkEngine, image_of
from support.guarded import Tokens, bearer
from support.models import CONFIG, place, watching
from support.open_inference import Asking, infer_request
from support.serving import TEST_CONFIG, serving, versions_of
from support.web import HTTP


def code_of(call: Any) -> str:
    """The code with which a call fails."""
    with pytest.raises(grpc.RpcError) as raised:
        call()
    return str(raised.value.code().name)


def index(asking: Asking, **fields: Any) -> list[tuple[str, str]]:
    """The versions in the repository, with their states."""
    return [(each.version, each.state) for each in asking.ask("RepositoryIndex", **fields).models]


@pytest.fixture(scope="module", name="two")
def _two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    """A client of a server that lets callers change its versions: 1, and 2, which is stable."""
    folder = tmp_path_factory.mktemp("two")
    place(folder, 1, 2)
    with watching(folder, "[labels]\ncanary = 1\nstable = 2\n") as up, up.channel() as channel:
        yield Asking(channel)


def test_the_server_lives_and_is_ready(asking: Asking) -> None:
    """As its health says."""
    assert asking.ask("ServerLive").live
    assert asking.ask("ServerReady").ready
    told = asking.ask("ServerMetadata")
    assert (told.name, bool(told.version)) == ("digitserve", True)
    assert "statistics" in told.extensions


def test_a_server_without_a_model_lives_and_is_not_ready() -> None:
    """Whoever balances the load looks elsewhere; whoever restarts it does not."""
    with serving(versions=[]) as up, up.channel() as channel:
        asking = Asking(channel)
        assert asking.ask("ServerLive").live
        assert not asking.ask("ServerReady").ready
        assert not asking.ask("ModelReady", name="digits").ready
        assert code_of(lambda: asking.infer(infer_request())) == "UNAVAILABLE"


@pytest.mark.parametrize("version", ["2", "3", "canary"])
def test_a_version_that_is_refused_or_being_loaded_is_not_ready(version: str) -> None:
    """That is the answer, and no error, over REST too."""
    with serving(HTTP, versions_of(InkEngine())) as up, up.channel() as channel:

        async def change() -> None:
            registry = up.server.registry
            registry.refuse(2, "a test says so")
            registry.loading(3)
            registry.configure(replace(registry.settings, labels={"canary": 2}))

        up.run(change())
        assert not Asking(channel).ask("ModelReady", name="digits", version=version).ready
        connection = HTTPConnection(up.server.http, timeout=60)
        connection.request("GET", f"/v2/models/digits/versions/{version}/ready")
        response = connection.getresponse()
        assert (response.status, json.load(response)["ready"]) == (404, False)
        connection.close()


@pytest.mark.parametrize(
    ("name", "version", "ready"),
    [("digits", "", True), ("digits", "1", True), ("digits", "canary", True),
     ("digits", "3", False), ("nope", "", False), ("", "", False)],
)  # fmt: skip
def test_readiness_of_a_model_is_no_error(
    two: Asking, name: str, version: str, ready: bool
) -> None:
    """What is not there is not ready, as at Triton's."""
    assert two.ask("ModelReady", name=name, version=version).ready is ready


def test_metadata_and_configuration_agree(two: Asking) -> None:
    """On names, types and shapes; the configuration leaves the batch out."""
    told = two.ask("ModelMetadata", name="digits")
    config = two.ask("ModelConfig", name="digits").config
    assert (told.name, list(told.versions), config.name) == ("digits", ["1", "2"], "digits")
    assert [(each.name, each.datatype, list(each.shape)) for each in told.inputs] == [
        ("pixels", "UINT8", [-1, 28, 28])
    ]
    for tensors, configured in ((told.inputs, config.input), (told.outputs, config.output)):
        types = type(config).DESCRIPTOR.file.enum_types_by_name["DataType"].values_by_number
        assert [(each.name, f"TYPE_{each.datatype}", list(each.shape)) for each in tensors] == [
            (each.name, types[each.data_type].name, [-1, *each.dims]) for each in configured
        ]
    assert config.max_batch_size == CONFIG.max_images


@pytest.mark.parametrize("version", ["1", "2", "canary", "stable", ""])
def test_versions_answer_by_number_and_by_label(two: Asking, version: str) -> None:
    """With none, whichever is stable."""
    expected = {"canary": "1", "stable": "2", "": "2"}.get(version, version)
    assert two.infer(infer_request(model_version=version)).model_version == expected
    told = two.ask("ModelMetadata", name="digits", version=version)
    assert list(told.versions) == ([expected] if version else ["1", "2"])


@pytest.mark.parametrize("method", ["ModelMetadata", "ModelConfig"])
@pytest.mark.parametrize(("name", "version"), [("nope", ""), ("digits", "9"), ("digits", "x")])
def test_what_is_not_there_cannot_be_described(
    two: Asking, method: str, name: str, version: str
) -> None:
    """NOT_FOUND; of statistics, as at Triton's, INVALID_ARGUMENT."""
    assert code_of(lambda: two.ask(method, name=name, version=version)) == "NOT_FOUND"
    wrong = code_of(lambda: two.ask("ModelStatistics", name=name, version=version))
    assert wrong == "INVALID_ARGUMENT"


def test_statistics_are_of_what_was_asked() -> None:
    """Requests, images, runs of the network and their times; what was wrong counts as nothing."""
    config = replace(TEST_CONFIG, turn_images=32)
    with serving(config, versions_of(BrokenEngine())) as up, up.channel() as channel:
        asking = Asking(channel)
        for images in (1, 1, 3, 70):
            pixels = image_of(1) * images
            asking.infer(infer_request(pixels, shape=[images, 28, 28]))
        list(asking.stream([infer_request(image_of(1))]))
        code_of(lambda: asking.infer(infer_request(image_of(255))))
        code_of(lambda: asking.infer(infer_request(bytes(3))))
        (told,) = asking.ask("ModelStatistics", name="digits").model_stats
    assert (told.name, told.version) == ("digits", "1")
    assert (told.inference_count, told.execution_count) == (76, 3 + 1 + 3)
    stats = told.inference_stats
    assert (stats.success.count, stats.fail.count) == (5, 1)
    assert {each.batch_size: each.compute_infer.count for each in told.batch_stats} == {
        1: 3, 3: 1, 6: 1, 32: 2,
    }  # fmt: skip
    parts = (stats.queue, stats.compute_input, stats.compute_infer, stats.compute_output)
    assert all(part.count == 5 for part in parts)
    assert 0 < sum(part.ns for part in parts) <= stats.success.ns
    assert stats.fail.ns > 0
    assert told.last_inference > 1_700_000_000_000


def test_versions_come_and_go_by_the_repository(tmp_path: Path) -> None:
    """By the model's name with the version, which is all that Triton's clients can say."""
    place(tmp_path, 1, 2, 3)
    with watching(tmp_path) as up, up.channel() as channel:
        asking = Asking(channel)
        assert index(asking) == [("2", "READY"), ("3", "READY")]  # the policy: the latest two
        asking.ask("RepositoryModelLoad", model_name="digits/1")
        asking.ask("RepositoryModelUnload", model_name="digits/2")
        assert index(asking, ready=True) == [("1", "READY"), ("3", "READY")]
        asking.ask("RepositoryModelLoad", model_name="digits")  # nothing is there and not ready
        version = {"version": {"string_param": "1"}}
        asking.ask("RepositoryModelUnload", model_name="digits", parameters=version)
        assert index(asking) == [("3", "READY")]


@pytest.mark.parametrize(
    ("method", "fields", "code"),
    [
        ("RepositoryModelLoad", {"model_name": "nope"}, "NOT_FOUND"),
        ("RepositoryModelLoad", {"model_name": "digits/9"}, "NOT_FOUND"),
        ("RepositoryModelLoad", {"model_name": "digits/x"}, "INVALID_ARGUMENT"),
        ("RepositoryModelLoad", {"model_name": "digits", "parameters": {"config": {}}},
            "INVALID_ARGUMENT"),
        ("RepositoryModelLoad", {"model_name": "digits", "repository_name": "x"}, "UNIMPLEMENTED"),
        ("RepositoryModelUnload", {"model_name": "digits"}, "INVALID_ARGUMENT"),
        ("RepositoryModelUnload", {"model_name": "digits/2"}, "FAILED_PRECONDITION"),
        ("RepositoryModelUnload", {"model_name": "digits/9"}, "NOT_FOUND"),
        ("RepositoryIndex", {"repository_name": "x"}, "UNIMPLEMENTED"),
    ],
)  # fmt: skip
def test_changes_that_make_no_sense_are_refused(
    two: Asking, method: str, fields: dict[str, Any], code: str
) -> None:
    """And nothing is changed."""
    before = index(two)
    assert code_of(lambda: two.ask(method, **fields)) == code
    assert index(two) == before


def test_nobody_changes_versions_unless_the_server_lets_them(asking: Asking) -> None:
    """As by ModelService."""
    for method in ("RepositoryModelLoad", "RepositoryModelUnload"):
        assert code_of(lambda method=method: asking.ask(method, model_name="digits/1")) == (
            "PERMISSION_DENIED"
        )


def test_who_may_do_what(tmp_path: Path) -> None:
    """Liveness and readiness are open; the rest wants `predict`, changes want `admin`."""
    tokens = Tokens(tmp_path)
    reader, admin = tokens.add("reader", "predict"), tokens.add("keeper", "admin")
    config = replace(CONFIG, tokens=tokens.path)
    with serving(config) as up, up.channel() as channel:
        asking = Asking(channel)
        assert asking.ask("ServerLive").live
        assert asking.ask("ServerReady").ready
        assert asking.ask("ModelReady", name="digits").ready
        for method in ("ServerMetadata", "RepositoryIndex", "ModelStatistics"):
            assert code_of(lambda method=method: asking.ask(method)) == "UNAUTHENTICATED"
            asking.ask(method, metadata=tuple(bearer(reader)))
        assert code_of(lambda: asking.infer(infer_request())) == "UNAUTHENTICATED"
        assert code_of(lambda: list(asking.stream([infer_request()]))) == "UNAUTHENTICATED"
        asking.infer(infer_request(), metadata=tuple(bearer(reader)))
        load = {"model_name": "digits/1"}
        refused = code_of(
            lambda: asking.ask("RepositoryModelLoad", metadata=tuple(bearer(reader)), **load)
        )
        assert refused == "PERMISSION_DENIED"
        asking.ask("RepositoryModelLoad", metadata=tuple(bearer(admin)), **load)


def test_a_caller_s_rate_holds_here_too(tmp_path: Path) -> None:
    """Of a stream, for that request alone."""
    tokens = Tokens(tmp_path)
    token = tokens.add("slow", "predict", images_per_second=1)
    with (
        serving(replace(TEST_CONFIG, tokens=tokens.path), versions_of(BrokenEngine())) as up,
        up.channel() as channel,
    ):
        requests = [infer_request(id=str(at)) for at in range(3)]
        responses = list(Asking(channel).stream(requests, metadata=tuple(bearer(token))))
    assert [each.infer_response.id for each in responses] == ["0", "1", "2"]
    assert not responses[0].error_message
    assert "images a second" in responses[2].error_message
