"""Who may say what the server is to do: a file, environment variables, flags.

    defaults  ◀──  the file  ◀──  variables  ◀──  flags      the one further right wins

Each value is held to its field's rule where it was said, so an error names the key, the variable
or the flag; a wrong value is an error even where another would have won.
"""

import difflib
import logging
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from digitserve.server.config import KNOBS, Config, ConfigError, ContradictionError
from digitserve.server.knobs import PREFIX, Knob
from digitserve.server.rules import Many, Unfit

FILE_FLAG = "--config"
FILE_VARIABLE = f"{PREFIX}CONFIG"
DEFAULT = "default"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Told:
    """A configuration, and who said what of it.

    Attributes:
        config: what was said, and the defaults.
        origins: of each field, by name: `default`, or the file, the variable or the flag.
    """

    config: Config
    origins: Mapping[str, str]


class _Said(NamedTuple):
    name: str
    value: Any
    origin: str


def read_config(flags: Mapping[str, Any], file: str | None, environment: Mapping[str, str]) -> Told:
    """Reads all that was said.

    Args:
        flags: the texts of the flags that were given, by field; a switch has its value.
        file: what `--config` says, if it was given.
        environment: the variables.  An empty one says nothing.

    Raises:
        ConfigError: naming who said it, what was expected and what came.
    """
    variables = {name: text for name, text in environment.items() if text}
    said = [*_of_file(file, variables), *_of_variables(variables), *_of_flags(flags)]
    origins = dict.fromkeys(KNOBS, DEFAULT) | {name: origin for name, _, origin in said}
    try:
        config = Config(**{name: value for name, value, _ in said})
    except ContradictionError as error:
        who = ", ".join(f"{name}: {origins[name]}" for name in error.names)
        raise ConfigError(f"{error} ({who})") from error
    return Told(config, origins)


def config_of(table: Mapping[str, Any], sayer: str) -> Config:
    """A configuration that somebody gives by the keys of the file; nothing else is read.

    Args:
        table: the values, as a TOML file would have them.
        sayer: who gives them, for errors.

    Raises:
        ConfigError: naming who said it, what was expected and what came.
    """
    try:
        return Config(**{name: value for name, value, _ in _of_table(table, sayer, Path())})
    except ContradictionError as error:
        raise ConfigError(f"{sayer}: {error}") from error


def nearest(name: str, known: Iterable[str], prefix: str = "") -> str:
    """What to say after an unknown name: the known one that was probably meant, if any.

    Args:
        name: the unknown one.
        known: those that there are.
        prefix: what all of them begin with, which makes none of them nearer.
    """
    bare = [each.removeprefix(prefix) for each in known]
    meant = difflib.get_close_matches(name.removeprefix(prefix), bare, n=1)
    return f"; did you mean {prefix}{meant[0]}?" if meant else ""


def _of_file(file: str | None, variables: Mapping[str, str]) -> Iterator[_Said]:
    name = variables.get(FILE_VARIABLE) if file is None else file
    if name is None:
        return
    path = Path(name)
    table = _table(path, FILE_VARIABLE if file is None else FILE_FLAG)
    yield from _of_table(table, str(path), path.parent)


def _of_table(table: Mapping[str, Any], sayer: str, folder: Path) -> Iterator[_Said]:
    for key, told in table.items():
        knob = KNOBS.get(key)
        if knob is None:
            raise ConfigError(f"{sayer}: {_key(key)}: no such key{nearest(key, KNOBS)}")
        try:
            value = knob.rule.of_file(told, folder)
        except Unfit as unfit:
            raise ConfigError(f"{sayer}: {key}: {unfit}") from unfit
        yield _Said(key, value, sayer)


def _table(path: Path, sayer: str) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{sayer}: {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: expected UTF-8, got another byte at {error.start}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from error
    except (ValueError, RecursionError) as error:  # what no Python number or stack can hold
        raise ConfigError(f"{path}: a number is too long, or brackets are too deep") from error


def _key(key: str) -> str:
    """A key of the file in one line."""
    return key if key.isprintable() and key else repr(key)


def _of_variables(variables: Mapping[str, str]) -> Iterator[_Said]:
    known = {knob.variable: knob for knob in KNOBS.values()}
    for variable, knob in known.items():
        if variable in variables:
            yield _of_text(knob, variables[variable], variable)
    # Kubernetes sets such names for every service: an error would keep the server from starting.
    for name in sorted(variables):
        if name.startswith(PREFIX) and name not in known and name != FILE_VARIABLE:
            _log.warning("%s: no such variable, ignored%s", name, nearest(name, known, PREFIX))


def _of_flags(flags: Mapping[str, Any]) -> Iterator[_Said]:
    for name, told in flags.items():
        knob = KNOBS[name]
        assert knob.flag is not None
        if isinstance(told, bool):
            yield _Said(name, told, knob.flag if told else knob.off)
        else:
            yield _of_text(knob, told, knob.flag)


def _of_text(knob: Knob, told: Any, sayer: str) -> _Said:
    """What a variable or a flag says; a flag that was given again says several texts."""
    rule = knob.rule
    try:
        if isinstance(rule, Many) and not isinstance(told, str):
            value = rule.of_texts(told)
        else:
            value = rule.of_text(told)
    except Unfit as unfit:
        raise ConfigError(f"{sayer}: {unfit}") from unfit
    return _Said(knob.name, value, sayer)
