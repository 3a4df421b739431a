"""`digitserve models`: what people and programs see, what is sent, how it ends."""

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from click.testing import CliRunner, Result

from digitserve.client.cli import main
from digitserve.v1 import models_pb2
from support.model_keeper import BAD, FULL, NEWER, ModelKeeper, keeping
from support.serving import Serving

Kept = tuple[ModelKeeper, str]

# Every command, with what it needs.
COMMANDS = [
    ["list"],
    ["show", "2"],
    ["load", "2"],
    ["promote", "2"],
    ["rollback"],
    ["unload", "2"],
    ["label", "canary", "2"],
]
each_command = pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])


def run(address: str, *arguments: str) -> Result:
    """Runs `digitserve models` in this process."""
    environment = {"DIGITSERVE_ADDRESS": address, "COLUMNS": "120"}
    return CliRunner().invoke(main, ["models", *arguments], env=environment)


@pytest.fixture
def kept() -> Iterator[Kept]:
    """A keeper of models and its address."""
    with keeping() as both:
        yield both


@pytest.fixture(params=["plain", "rich", "no rich"])
def look(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Who looks: a pipe, a person, a person without the extra `cli`."""
    look: str = request.param
    if look != "plain":
        monkeypatch.setenv("FORCE_COLOR", "1")
    if look == "rich":
        pytest.importorskip("rich", reason="tables need the extra `cli`")
    if look == "no rich":
        monkeypatch.setitem(sys.modules, "digitserve.client.cli.versions_table", None)
    return look


class TestList:
    def test_a_line_for_each_version(self, kept: Kept, look: str) -> None:
        """Whoever looks; what was not said is a dash."""
        result = run(kept[1], "list")
        assert result.exit_code == 0
        for text in (
            "99.51%", "99.25%", "41.5 µs", "1,234,567", "canary, stable", "shadow agreement", " - ",
        ):  # fmt: skip
            assert text in result.stdout
        assert ("\x1b[" in result.stdout) == (look == "rich")

    @pytest.mark.usefixtures("look")
    def test_why_a_version_was_refused(self, kept: Kept) -> None:
        """In full, on a line of its own."""
        said = run(kept[1], "list").stdout
        assert f"version 3 was refused: {BAD.reason}" in said

    def test_plain_lines_are_aligned(self, kept: Kept) -> None:
        """All end where the header ends."""
        lines = run(kept[1], "list").stdout.splitlines()
        assert len({len(line) for line in lines[:4]}) == 1
        assert [line.split()[0] for line in lines[:4]] == ["version", "1", "2", "3"]

    def test_json_lines(self, kept: Kept) -> None:
        """All that is known, in seconds and shares; null for what was not said."""
        result = run(kept[1], "list", "--json")
        bare, full, bad = map(json.loads, result.stdout.splitlines())
        assert full == {
            "version": 2,
            "state": "READY",
            "labels": ["canary", "stable"],
            "accuracy": 0.9951,
            "description": "a cnn, three seeds",
            "reason": "",
            "engine": "litert",
            "gate_accuracy": 0.9925,
            "image_time": 41.5e-6,
            "rejection_threshold": 0.625,
            "images": 1_234_567,
            "shadow": {"images": 400, "agreed": 397, "agreement": 0.9925},
        }
        assert bare["accuracy"] is bare["shadow"] is None
        assert (bad["state"], bad["reason"]) == ("REFUSED", BAD.reason)

    def test_a_server_without_versions(self, kept: Kept) -> None:
        """Said to people; programs get no line."""
        kept[0].versions = []
        assert run(kept[1], "list").stdout == "no version is there\n"
        assert run(kept[1], "list", "--json").stdout == ""

    def test_a_newer_servers_state(self, kept: Kept) -> None:
        """Unknown, and no reason to fail."""
        kept[0].versions = [models_pb2.ModelVersion(version=1, state=NEWER)]
        assert "unknown" in run(kept[1], "list").stdout

    def test_of_a_real_server(self, serving: Serving) -> None:
        """The bundled model."""
        said = json.loads(run(serving.address, "list", "--json").stdout)
        assert (said["version"], said["labels"], said["state"]) == (1, ["stable"], "READY")


class TestShow:
    @pytest.mark.usefixtures("look")
    def test_everything_of_one(self, kept: Kept) -> None:
        """Description, threshold and counts included."""
        result = run(kept[1], "show", "2")
        assert result.exit_code == 0
        for text in ("rejection threshold", "a cnn, three seeds", "litert", "0.6250", "99.25%"):
            assert text in result.stdout
        assert "397 of 400 images" in result.stdout
        assert "reason" not in result.stdout

    @pytest.mark.usefixtures("look")
    def test_a_refused_one(self, kept: Kept) -> None:
        """With the reason."""
        assert BAD.reason in run(kept[1], "show", "3").stdout

    def test_json(self, kept: Kept) -> None:
        """The same object as in the list."""
        listed = run(kept[1], "list", "--json").stdout.splitlines()
        assert run(kept[1], "show", "2", "--json").stdout.splitlines() == [listed[1]]

    def test_one_that_is_not_there(self, kept: Kept) -> None:
        """One line, which lists what there is."""
        result = run(kept[1], "show", "9")
        assert (result.exit_code, result.stdout) == (5, "")
        assert result.stderr == (
            f"digitserve: {kept[1]} refused: no version '9' here; there is: 1, 2, 3\n"
        )

    @pytest.mark.usefixtures("look")
    def test_a_description_leaves_the_terminal_alone(self, kept: Kept) -> None:
        """Neither escape sequences nor line ends nor Rich's markup get through."""
        evil = "a \x1b]0;title\x07 b\r\n\x9bc [blink]d"
        kept[0].versions = [models_pb2.ModelVersion(version=1, description=evil)]
        said = run(kept[1], "show", "1").stdout
        assert "a ?]0;title? b ?c [blink]d" in said


@pytest.mark.parametrize(
    ("command", "sent", "said"),
    [
        (["load", "2"], models_pb2.LoadVersionRequest(version=2), "version 2 is ready"),
        (["promote", "2"], models_pb2.PromoteVersionRequest(version=2), "version 2 is stable now"),
        (
            ["promote", "2", "--expect", "1"],
            models_pb2.PromoteVersionRequest(version=2, expected_stable=1),
            "version 2 is stable now",
        ),
        (["rollback"], models_pb2.RollBackVersionRequest(), "version 1 is stable again"),
        (
            ["rollback", "--expect", "2"],
            models_pb2.RollBackVersionRequest(expected_stable=2),
            "version 1 is stable again",
        ),
        (["unload", "1"], models_pb2.UnloadVersionRequest(version=1), "version 1 is gone"),
        (
            ["label", "canary", "2"],
            models_pb2.SetLabelRequest(label="canary", version=2),
            "version 2 is canary now",
        ),
        (
            ["label", "canary"],
            models_pb2.SetLabelRequest(label="canary"),
            "no version is canary now",
        ),
    ],
)
def test_a_change_is_sent_and_told(kept: Kept, command: list[str], sent: object, said: str) -> None:
    """In a line for people, or an object for programs."""
    result = run(kept[1], *command)
    assert (result.exit_code, result.stdout) == (0, f"{said}\n")
    told = json.loads(run(kept[1], *command, "--json").stdout)
    assert kept[0].asked == [sent, sent]
    assert told["version"] == (None if said.startswith("no ") else int(said.split()[1]))


class TestLoadingWhatIsRefused:
    def test_is_an_error(self, kept: Kept) -> None:
        """With the reason, in one line."""
        result = run(kept[1], "load", "3")
        assert (result.exit_code, result.stdout) == (5, "")
        assert result.stderr == f"digitserve: {kept[1]} refused: version 3: {BAD.reason}\n"

    def test_is_told_to_programs_in_full(self, kept: Kept) -> None:
        """On standard output, with the same exit code."""
        result = run(kept[1], "load", "3", "--json")
        assert (result.exit_code, json.loads(result.stdout)["state"]) == (5, "REFUSED")


@each_command
@pytest.mark.parametrize(
    ("code", "reason", "exit_code"),
    [
        (grpc.StatusCode.ABORTED, "PROMOTION_LOST", 5),
        (grpc.StatusCode.FAILED_PRECONDITION, "VERSION_IN_USE", 5),
        (grpc.StatusCode.PERMISSION_DENIED, "MODEL_CONTROL_OFF", 5),
        (grpc.StatusCode.NOT_FOUND, "VERSION_UNKNOWN", 5),
        (grpc.StatusCode.UNIMPLEMENTED, "NOT_SERVED", 5),
        (grpc.StatusCode.UNAVAILABLE, "DRAINING", 4),
        (grpc.StatusCode.INTERNAL, "INTERNAL", 1),
    ],
)
def test_an_error_is_one_line(
    kept: Kept, command: list[str], code: grpc.StatusCode, reason: str, exit_code: int
) -> None:
    """What the server said, with an exit code that tells it from others."""
    kept[0].refuse(code, "because\nof this", reason)
    result = run(kept[1], *command)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (exit_code, "", 1)
    assert result.stderr.startswith(f"digitserve: {kept[1]}")
    assert "because of this" in result.stderr
    assert len(kept[0].asked) == 1


@each_command
class TestTheServer:
    def test_is_absent(self, address: str, command: list[str]) -> None:
        """Said so."""
        result = run(address, *command)
        assert (result.exit_code, result.stderr) == (4, f"digitserve: no server at {address}\n")

    def test_is_another(self, command: list[str]) -> None:
        """It answers UNIMPLEMENTED, without our reason."""
        with ThreadPoolExecutor(1) as threads:
            server = grpc.server(threads)
            port = server.add_insecure_port("127.0.0.1:0")
            server.start()
            result = run(f"127.0.0.1:{port}", *command)
            server.stop(None).wait()
        assert result.exit_code == 4
        assert "is a gRPC server, but not a digitserve server" in result.stderr


@each_command
def test_help_tells_the_exit_codes(address: str, command: list[str]) -> None:
    """Of every command, and of the group."""
    for arguments in ([command[0], "--help"], ["-h"]):
        assert "130  interrupted" in run(address, *arguments).output


@pytest.mark.parametrize(
    "arguments",
    [
        ["show"],
        ["show", "0"],
        ["load", "one"],
        ["promote", "18446744073709551616"],
        ["promote", "2", "--expect", "0"],
        ["rollback", "2"],
        ["unload"],
        ["label"],
        ["label", "canary", "0"],
    ],
)
def test_wrong_usage(kept: Kept, arguments: list[str]) -> None:
    """Exit code 2, before anything is sent."""
    assert run(kept[1], *arguments).exit_code == 2
    assert kept[0].asked == []


def test_the_samples_are_worth_showing() -> None:
    """Every field of the contract is in one of them."""
    fields = {each.name for each in models_pb2.ModelVersion.DESCRIPTOR.fields}
    shown = {each.name for sample in (FULL, BAD) for each, _ in sample.ListFields()}
    assert shown == fields
