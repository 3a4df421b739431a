"""For every field of the configuration: values that it may have, and how each source says one."""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from hypothesis import reject
from hypothesis import strategies as st

from digitserve.server.__main__ import main
from digitserve.server.config import KNOBS, Config, ContradictionError
from digitserve.server.rules import Switch

HERE = Path(__file__)


@dataclass(frozen=True)
class Example:
    """A value, and what is none.

    Attributes:
        text: as a variable and a flag say it.
        toml: as the file says it.
        value: in `Config`.
        wrong: what no variable and no flag may say.
        wrong_toml: what the file may not say.
    """

    text: str
    toml: str
    value: object
    wrong: tuple[str, ...]
    wrong_toml: tuple[str, ...]


def number(value: float, *wrong: str) -> Example:
    """A field that is a number; so that is what the file says too."""
    return Example(
        f"{value}", f"{value}", value, (*wrong, "many", "nan", "inf"), (*wrong, "'1'", "true")
    )


_HOST = ("nonsense", "127.0.0.1:99999", ":1")
_FILE = Example(str(HERE), f"'{HERE}'", HERE, (str(HERE.parent),), (f"'{HERE.parent}'", "true"))
_ON = Example("true", "true", True, ("perhaps",), ("'true'", "1"))
_WORDS = Example("a text", "'a text'", "a text", ("\x07",), ("''", "1"))
EXAMPLES = {
    "addresses": Example(
        "[::1]:1, unix:/run/a.sock",
        '["[::1]:1", "unix:/run/a.sock"]',
        ("[::1]:1", "unix:/run/a.sock"),
        (*_HOST, "localhost:1,", "unix:"),
        ("'localhost:1'", "[]", "[1]", "['nonsense']"),
    ),
    "workers": number(2, "0", "257", "1.5"),
    "models": Example(str(HERE), f"'{HERE}'", HERE, ("/nowhere",), ("'/nowhere'", "''", "1")),
    "metrics": Example(
        "localhost:9090", "'localhost:9090'", "localhost:9090", (*_HOST, "unix:/a"), ("9090",)
    ),
    "http": Example(
        "localhost:8080", "'localhost:8080'", "localhost:8080", (*_HOST, "unix:/a"), ("8080",)
    ),
    "http_origins": Example(
        "https://a.org, http://b:1",
        '["https://a.org", "http://b:1"]',
        ("https://a.org", "http://b:1"),
        ("a.org", "https://a.org/path"),
        ("'*'", "[]", "['ftp://a']"),
    ),
    "settings": _FILE,
    "watch_s": number(0.25, "-0.1", "86400.1"),
    "model_control": _ON,
    "engine": Example("tensorflow", "'tensorflow'", "tensorflow", ("onnx",), ("'onnx'", "[]")),
    "input_range": Example("0..1", "'0..1'", "0..1", ("0..2",), ("1", "'0..2'")),
    "max_images": number(16, "0", "65537", "1.5"),
    "max_message_bytes": number(2**20, "1023", "2147483648", "1e6"),
    "max_in_flight_frames": number(1, "0", "65537", "1.5"),
    "max_in_flight_images": number(1, "0", "1048577", "1.5"),
    "max_frame_id_bytes": number(0, "-1", "65537", "1.5"),
    "max_queue_images": number(1, "0", "16777217", "1.5"),
    "max_wait_s": number(0.25, "0", "86401"),
    "turn_images": number(64, "0", "48", "2048", "2.0"),
    "turn_ms": number(0.5, "0", "60001"),
    "inline_us": number(0.0, "-1", "1000001"),
    "engine_threads": number(1, "0", "257", "1.5"),
    "stream_max_age_s": number(60.5, "0", "31536001"),
    "connection_max_age_s": number(70.5, "0", "31536001"),
    "lame_duck_s": number(0.0, "-1", "86401"),
    "grace_s": number(0.5, "-1", "86401"),
    "tokens": _FILE,
    "jwks": _FILE,
    "jwt_issuer": _WORDS,
    "jwt_audience": _WORDS,
    "credential_grace_s": number(0.5, "-1", "86401"),
    "tls_cert": _FILE,
    "tls_key": Example(str(HERE), f"'{HERE}'", HERE, ("/nowhere",), ("true",)),
    "tls_client_ca": _FILE,
    "tls_client_required": Example("false", "false", False, ("perhaps",), ("'true'", "1")),
    "plain_text": _ON,
    "socket_mode": Example("0600", "'0600'", "0600", ("0888", "rw", "07777"), ("384", "'9'")),
    "reflection": Example("false", "false", False, ("perhaps",), ("'true'", "1")),
    "open_inference": Example("false", "false", False, ("perhaps",), ("'true'", "1")),
    "tensorflow_serving": Example("false", "false", False, ("perhaps",), ("'true'", "1")),
    "log_form": Example("json", "'json'", "json", ("xml",), ("'xml'", "1")),
    "log_calls": Example("all", "'all'", "all", ("some",), ("'some'", "true")),
    "traces": _WORDS,
    "trace_share": number(0.5, "-0.1", "1.1"),
    "trace_frame_share": number(0.5, "-0.1", "1.1"),
}

# What a field needs beside it.
BESIDE = {
    "input_range": ("--models", str(HERE)),
    "tls_cert": ("--tls-key", str(HERE)),
    "tls_key": ("--tls-cert", str(HERE)),
    "tls_client_ca": ("--tls-cert", str(HERE), "--tls-key", str(HERE)),
}

_ADDRESS = st.integers(1, 65535).map("127.0.0.1:{}".format) | st.text(min_size=1).map(
    "unix:{}".format
)
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "addresses": st.lists(_ADDRESS, min_size=1, max_size=3).map(tuple),
    "workers": st.just(1) | st.integers(1, 256),
    "models": st.sampled_from([None, HERE]),
    "metrics": st.sampled_from([None, "127.0.0.1:9090", "[::1]:0"]),
    "http": st.sampled_from([None, "127.0.0.1:8080", "[::1]:0"]),
    "http_origins": st.sampled_from([None, ("*",), ("https://a.org", "http://b.org:1")]),
    "settings": st.sampled_from([None, HERE]),
    "watch_s": st.floats(0, 86_400),
    "model_control": st.booleans(),
    "engine": st.sampled_from(["litert", "tensorflow"]),
    "input_range": st.sampled_from([None, "0..1", "0..255"]),
    "max_images": st.integers(1, 65_536),
    "max_message_bytes": st.integers(1024, 2**31 - 1),
    "max_in_flight_frames": st.integers(1, 65_536),
    "max_in_flight_images": st.integers(1, 1_048_576),
    "max_frame_id_bytes": st.integers(0, 65_536),
    "max_queue_images": st.integers(1, 16_777_216),
    "max_wait_s": st.floats(0.001, 86_400),
    "turn_images": st.integers(0, 10).map(lambda power: 2**power),
    "turn_ms": st.floats(0.001, 60_000),
    "inline_us": st.floats(0, 1_000_000),
    "engine_threads": st.integers(1, 256),
    "stream_max_age_s": st.floats(0.01, 31_536_000),
    "connection_max_age_s": st.floats(0.01, 31_536_000),
    "lame_duck_s": st.floats(0, 86_400),
    "grace_s": st.floats(0, 86_400),
    "tokens": st.sampled_from([None, HERE]),
    "jwks": st.sampled_from([None, HERE]),
    "jwt_issuer": st.sampled_from([None, "a", "b c"]),
    "jwt_audience": st.sampled_from([None, "a", "b c"]),
    "credential_grace_s": st.floats(0, 86_400),
    "tls_cert": st.sampled_from([None, HERE]),
    "tls_key": st.sampled_from([None, HERE]),
    "tls_client_ca": st.sampled_from([None, HERE]),
    "tls_client_required": st.booleans(),
    "plain_text": st.booleans(),
    "socket_mode": st.integers(0, 0o777).map("{:04o}".format),
    "reflection": st.booleans(),
    "open_inference": st.booleans(),
    "tensorflow_serving": st.booleans(),
    "log_form": st.sampled_from(["console", "json"]),
    "log_calls": st.sampled_from(["none", "failures", "all"]),
    "traces": st.sampled_from([None, "http://localhost:4318"]),
    "trace_share": st.floats(0, 1),
    "trace_frame_share": st.floats(0, 1),
}


@st.composite
def configs(draw: st.DrawFn) -> Config:
    """Any configuration that there may be."""
    try:
        return Config(**{name: draw(values) for name, values in _VALUES.items()})
    except ContradictionError:
        reject()


def as_toml(config: Config) -> str:
    """A file that says all of it."""
    said = {field.name: getattr(config, field.name) for field in fields(config)}
    return "\n".join(
        f"{name} = {_toml(value)}" for name, value in said.items() if value is not None
    )


def _toml(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str | Path):
        return '"{}"'.format("".join(f"\\U{ord(each):08x}" for each in str(value)))
    return json.dumps(value)


def command(*arguments: str, **variables: str) -> Result:
    """Runs the command in this process."""
    return CliRunner().invoke(main, list(arguments), env=variables)


def by_file(folder: Path, name: str, toml: str) -> tuple[str, Result]:
    """Who says it, and what `config` makes of a file with this field."""
    path = folder / "server.toml"
    path.write_text(f"{name} = {toml}\n", encoding="utf-8")
    beside = BESIDE.get(name, ())
    return str(path), command("config", "--json", "--config", str(path), *beside)


def by_variable(name: str, text: str) -> tuple[str, Result]:
    """The same of a variable."""
    variable = f"DIGITSERVE_SERVER_{name.upper()}"
    return variable, command("config", "--json", *BESIDE.get(name, ()), **{variable: text})


def by_flag(name: str, text: str) -> tuple[str, Result]:
    """The same of a flag."""
    flag = KNOBS[name].flag
    assert flag is not None
    said = (flag,) if isinstance(KNOBS[name].rule, Switch) else (flag, text.partition(",")[0])
    return flag, command("config", "--json", *said, *BESIDE.get(name, ()))
