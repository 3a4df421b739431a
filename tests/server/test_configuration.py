"""What the server is told, by whom, and what is said of a mistake in it."""

import json
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitserve.server.config import KNOBS, Config, ConfigError, ContradictionError
from digitserve.server.knobs import knobs_of, shown
from digitserve.server.rules import Number, Switch, There, Unfit
from digitserve.server.sources import Told, read_config
from support.configuration import (
    BESIDE,
    EXAMPLES,
    as_toml,
    by_file,
    by_flag,
    by_variable,
    command,
    configs,
)

DOCS = Path(__file__).parents[2] / "docs/configure.md"
SWITCHES = [name for name, knob in KNOBS.items() if isinstance(knob.rule, Switch)]
FLAGGED = [name for name, knob in KNOBS.items() if knob.flag is not None]


def read(folder: Path, toml: str = "", **variables: str) -> Told:
    """What is made of a file and of variables."""
    path = folder / "server.toml"
    path.write_text(toml, encoding="utf-8")
    return read_config({}, str(path), variables)


def check_said(name: str, value: object, sayer: str, said: str) -> None:
    """Of one field the value and who said it; of all others the default."""
    told = json.loads(said)
    plain = list(value) if isinstance(value, tuple) else value
    assert told[name]["value"] == (str(plain) if isinstance(plain, Path) else plain)
    assert told[name]["from"] == sayer
    others = {field for field in told if told[field]["from"] != "default"}
    beside = {flag.removeprefix("--").replace("-", "_") for flag in BESIDE.get(name, ())[::2]}
    assert others == {name} | beside


def check_refused(sayer: str, code: int, said: str) -> None:
    """One line that names who said it, what was expected, and what came."""
    assert code == 2
    assert re.fullmatch(rf"digitserve-server: {re.escape(sayer)}: expected .+, got .+\n", said), (
        said
    )


def test_every_field_is_tried() -> None:
    """A new field needs an example, a paragraph of the docstring and, if a number, a range."""
    assert list(EXAMPLES) == list(KNOBS) == [field.name for field in fields(Config)]
    hints = get_type_hints(Config)
    for name, knob in KNOBS.items():
        assert knob.docs, name
        assert isinstance(knob.rule, Number) == (hints[name] in (int, float)), name


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_file_can_say_every_field(tmp_path: Path, name: str) -> None:
    """And is named as the one who did."""
    path, done = by_file(tmp_path, name, EXAMPLES[name].toml)
    check_said(name, EXAMPLES[name].value, path, done.output)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_variable_can_say_every_field(name: str) -> None:
    """Of a list with commas."""
    variable, done = by_variable(name, EXAMPLES[name].text)
    check_said(name, EXAMPLES[name].value, variable, done.output)


@pytest.mark.parametrize("name", FLAGGED)
def test_a_flag_can_say_what_people_set_by_hand(name: str) -> None:
    """One value of a list at a time."""
    flag, done = by_flag(name, EXAMPLES[name].text)
    value = EXAMPLES[name].value
    check_said(name, value[:1] if isinstance(value, tuple) else value, flag, done.output)


@pytest.mark.parametrize(
    ("name", "toml"), [(name, toml) for name in EXAMPLES for toml in EXAMPLES[name].wrong_toml]
)
def test_a_wrong_value_in_the_file_is_refused(tmp_path: Path, name: str, toml: str) -> None:
    """Of another type too: 1 is not true, and '1' is not 1."""
    path, done = by_file(tmp_path, name, toml)
    check_refused(f"{path}: {name}", done.exit_code, done.output)


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name in EXAMPLES for text in EXAMPLES[name].wrong]
)
def test_a_wrong_value_of_a_variable_is_refused(name: str, text: str) -> None:
    """Out of range, not of its type, or not there."""
    variable, done = by_variable(name, text)
    check_refused(variable, done.exit_code, done.output)


@pytest.mark.parametrize(
    ("name", "text"),
    [(name, text) for name in FLAGGED for text in EXAMPLES[name].wrong if name not in SWITCHES],
)
def test_a_wrong_value_of_a_flag_is_refused(name: str, text: str) -> None:
    """By the same rule."""
    if text.endswith(","):
        text = text[-1]
    flag, done = by_flag(name, text)
    check_refused(flag, done.exit_code, done.output)


@pytest.mark.parametrize("name", EXAMPLES)
def test_code_is_held_to_the_same_rules(name: str) -> None:
    """`Config` itself refuses what no source may say."""
    with pytest.raises(ConfigError, match=rf"^{name}: expected .+, got "):
        Config(**{name: {"a set"}})  # type: ignore[arg-type]


@given(config=configs())
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, config: Config
) -> None:
    """Any configuration, as a file."""
    assert read(tmp_path_factory.getbasetemp(), as_toml(config)).config == config


@given(config=configs())
def test_what_is_shown_may_be_said(config: Config) -> None:
    """Any configuration, as variables; addresses, which may hold a comma, as flags."""
    said = {
        knob.variable: shown(getattr(config, name))
        for name, knob in KNOBS.items()
        if getattr(config, name) is not None and name != "addresses"
    }
    assert read_config({"addresses": config.addresses}, None, said).config == config


@given(
    said=st.lists(st.sampled_from(["file", "variable", "before", "after"]), unique=True, min_size=1)
)
def test_the_later_source_wins(tmp_path_factory: pytest.TempPathFactory, said: list[str]) -> None:
    """Default, file, variable, flag; of flags the one after the subcommand."""
    path = tmp_path_factory.getbasetemp() / "precedence.toml"
    path.write_text("grace_s = 1" if "file" in said else "", encoding="utf-8")
    before = ["--grace", "3"] if "before" in said else []
    after = ["--grace", "4"] if "after" in said else []
    variables = {"DIGITSERVE_SERVER_GRACE_S": "2"} if "variable" in said else {}
    done = command("--config", str(path), *before, "config", "--json", *after, **variables)
    winner = max(said, key=["file", "variable", "before", "after"].index)
    grace = json.loads(done.output)["grace_s"]
    assert (grace["value"], grace["from"]) == {
        "file": (1, str(path)),
        "variable": (2, "DIGITSERVE_SERVER_GRACE_S"),
        "before": (3, "--grace"),
        "after": (4, "--grace"),
    }[winner]


def test_a_flag_turns_off_what_the_file_turned_on(tmp_path: Path) -> None:
    """And may put its one address in the place of a list."""
    path = tmp_path / "server.toml"
    path.write_text("model_control = true\naddresses = ['a:1', 'b:1']", encoding="utf-8")
    flags = ("--no-model-control", "--address", "c:1")
    told = json.loads(command("config", "--json", "--config", str(path), *flags).output)
    assert told["model_control"]["value"] is False
    assert told["model_control"]["from"] == "--no-model-control"
    assert told["addresses"]["value"] == ["c:1"]


def test_a_variable_names_the_file_unless_a_flag_does(tmp_path: Path) -> None:
    """`DIGITSERVE_SERVER_CONFIG` and `--config`."""
    for name in ("variable", "flag"):
        (tmp_path / name).write_text("grace_s = 1", encoding="utf-8")
    environment = {"DIGITSERVE_SERVER_CONFIG": str(tmp_path / "variable")}
    told = read_config({}, None, environment)
    assert told.origins["grace_s"] == str(tmp_path / "variable")
    told = read_config({}, str(tmp_path / "flag"), environment)
    assert told.origins["grace_s"] == str(tmp_path / "flag")


def test_an_empty_variable_says_nothing() -> None:
    """As in a template that had nothing to fill in."""
    said = {"DIGITSERVE_SERVER_GRACE_S": "", "DIGITSERVE_SERVER_CONFIG": ""}
    assert read_config({}, None, said).config == Config()


def test_a_path_is_looked_for_beside_the_file_that_says_it(tmp_path: Path) -> None:
    """Wherever the server was started."""
    (tmp_path / "models").mkdir()
    assert read(tmp_path, "models = 'models'").config.models == tmp_path / "models"


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ("grace = 1", r"grace: no such key; did you mean grace_s\?"),
        ("max-images = 1", r"max-images: no such key; did you mean max_images\?"),
        ("[server]\ngrace_s = 1", "server: no such key"),
        ('"a\\nb" = 1', r"'a\\nb': no such key"),
        ("grace_s = \nwatch_s = 1", r".+ \(at line 1, column 11\)"),
        ("grace_s = 1\ngrace_s = 2\n", r".+ \(at line 2, column 12\)"),
        (f"grace_s = 0x{'f' * 9999}", "grace_s: expected .+, got a very long number"),
        (f"grace_s = {'9' * 9999}", "a number is too long.*"),
        (f"grace_s = '{'x' * 9999}'", r"grace_s: expected .+, got 'x{79}…"),
        (f"grace_s = {'[' * 99999}", ".* brackets are too deep"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, toml: str, told: str) -> None:
    """In one line: the file, the key or the place, and what was probably meant."""
    with pytest.raises(ConfigError) as raised:
        read(tmp_path, toml)
    assert re.fullmatch(rf"{re.escape(str(tmp_path))}/server\.toml: {told}", str(raised.value))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """With who named it, if it is not there."""
    for sayer, flag, variables in (
        ("--config", str(tmp_path / "none"), {}),
        ("--config", str(tmp_path / "none"), {"DIGITSERVE_SERVER_CONFIG": str(tmp_path)}),
        ("DIGITSERVE_SERVER_CONFIG", None, {"DIGITSERVE_SERVER_CONFIG": str(tmp_path / "none")}),
    ):
        with pytest.raises(ConfigError, match=f"^{sayer}: {tmp_path}/none: No such file"):
            read_config({}, flag, variables)
    for folder in (str(tmp_path), ""):
        with pytest.raises(ConfigError, match="Is a directory"):
            read_config({}, folder, {})
    (tmp_path / "latin").write_bytes(b"# caf\xe9")
    with pytest.raises(ConfigError, match="latin: expected UTF-8"):
        read_config({}, str(tmp_path / "latin"), {})


def test_an_unknown_variable_warns(caplog: pytest.LogCaptureFixture) -> None:
    """One line each, without its value; what was probably meant, if anything."""
    said = {
        "DIGITSERVE_SERVER_SERVICE_HOST": "10.0.0.1",
        "DIGITSERVE_SERVER_GRACE": "hunter2",
        "DIGITSERVE_ADDRESS": "the client's",
    }
    assert read_config({}, None, said).config == Config()
    assert [record.getMessage() for record in caplog.records] == [
        "DIGITSERVE_SERVER_GRACE: no such variable, ignored; did you mean "
        "DIGITSERVE_SERVER_GRACE_S?",
        "DIGITSERVE_SERVER_SERVICE_HOST: no such variable, ignored",
    ]


def test_no_field_is_called_what_others_set() -> None:
    """Kubernetes for a service called digitserve-server, and we for the file."""
    theirs = re.compile(r"config|port(_.*)?|service_(host|port)(_.*)?")
    assert not any(theirs.fullmatch(name) for name in KNOBS)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"max_images": 65536}, "max_message_bytes: expected 51380224 or more"),
        ({"addresses": ("a:1", "b:1", "a:1")}, "addresses: expected each once, got 'a:1' again"),
        ({"addresses": ("a:1",), "metrics": "a:1"}, "metrics: expected another address"),
        ({"input_range": "0..1"}, "input_range: expected models"),
        (
            {"addresses": ("a:1", "unix:/a"), "workers": 2},
            "addresses: expected host:port alone for 2 workers",
        ),
    ],
)
def test_values_that_contradict_each_other_are_refused(values: dict[str, Any], told: str) -> None:
    """Whoever says them."""
    with pytest.raises(ContradictionError, match=f"^{told}"):
        Config(**values)


def test_a_free_port_is_taken_as_often_as_asked() -> None:
    """Port 0 is another one each time."""
    config = Config(addresses=("127.0.0.1:0", "127.0.0.1:0"), metrics="127.0.0.1:0")
    assert config.metrics in config.addresses


def test_a_contradiction_tells_who_said_what(tmp_path: Path) -> None:
    """Of all fields that are in it."""
    with pytest.raises(ConfigError, match=re.escape("default)")) as raised:
        read(tmp_path, "", DIGITSERVE_SERVER_MAX_IMAGES="65536")
    assert str(raised.value).endswith(
        " (max_images: DIGITSERVE_SERVER_MAX_IMAGES, max_message_bytes: default)"
    )


def test_what_stands_in_the_place_of_a_secret_is_not_told(tmp_path: Path) -> None:
    """Somebody may have put the secret where its path belongs."""
    rule = There(folders=False, secret=True)
    for say in (rule.of_text, lambda text: rule.of_file(text, tmp_path)):
        with pytest.raises(Unfit, match="expected a file that is there") as raised:
            say("hunter2")
        assert "hunter2" not in str(raised.value)


def test_a_field_without_a_rule_is_found_at_once() -> None:
    """Not when somebody says a wrong value."""

    @dataclass
    class _Lax:
        speed: int = 1
        size: Annotated[int, "no rule"] = 1

    with pytest.raises(TypeError, match="speed needs one rule"):
        knobs_of(_Lax)


def test_the_docs_tell_every_field() -> None:
    """With its flag, its rule and its default, in the order of the code."""
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.*?) \| .+ \|$", DOCS.read_text(), re.M)
    by_machine = {"engine_threads": "one for each core, at most 4"}
    assert rows == [
        (
            name,
            f"`{knob.flag}`" if knob.flag else "",
            knob.rule.expected,
            by_machine.get(name, knob.usual),
        )
        for name, knob in KNOBS.items()
    ]
