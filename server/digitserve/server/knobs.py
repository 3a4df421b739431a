"""The fields of a configuration as data, read off its class: name, rule, flag, default, docs.

So a field is written once, as `name: Annotated[type, rule, Flag("--name")] = default` with a
paragraph in the docstring; file, variables, flags, `--help` and `digitserve-server config` follow.
"""

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from digitserve.server.rules import Rule

PREFIX = "DIGITSERVE_SERVER_"


@dataclass(frozen=True)
class Flag:
    """Marks a field that people set by hand."""

    name: str


@dataclass(frozen=True)
class Knob:
    """A field of the configuration.

    Attributes:
        name: of the field, and of the key in the file.
        rule: what its value may be; if the default is None, that too.
        flag: its flag, as in `--grace`; None: it has none.
        default: its value if nobody says one.
        docs: its paragraph of the docstring.
    """

    name: str
    rule: Rule
    flag: str | None
    default: Any
    docs: str

    @property
    def variable(self) -> str:
        """The name of its environment variable."""
        return PREFIX + self.name.upper()

    @property
    def off(self) -> str:
        """The flag that turns a switch off."""
        return f"--no-{(self.flag or '').removeprefix('--')}"

    @property
    def summary(self) -> str:
        """The first sentence of its docs."""
        return _sentences(self.docs)[0]

    @property
    def usual(self) -> str:
        """Its default, in words where it is None."""
        if self.default is not None:
            return shown(self.default)
        told = [each for each in _sentences(self.docs) if each.startswith("None: ")]
        return told[0].removeprefix("None: ").rstrip(".") if told else "none"

    def check(self, value: object) -> None:
        """Holds a value to the rule.

        Raises:
            Unfit: if it may not be.
        """
        if value is not None or self.default is not None:
            self.rule.check(value)


def knobs_of(config: type) -> Mapping[str, Knob]:
    """Reads the fields off a dataclass, by name.

    Raises:
        TypeError: if a field has no rule.
    """
    hints = get_type_hints(config, include_extras=True)
    docs = _docs(config)
    return {
        field.name: _knob(field.name, hints[field.name], field.default, docs.get(field.name, ""))
        for field in fields(config)
    }


def shown(value: object) -> str:
    """A value as it is shown to people, and may be said in a variable."""
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case tuple():
            return ",".join(map(shown, value))
        case float() if value.is_integer():
            return str(int(value))
        case Path() | str() | int() | float():
            return str(value)
    raise TypeError(type(value))


def _knob(name: str, hint: object, default: object, docs: str) -> Knob:
    marks = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    rules = [mark for mark in marks if isinstance(mark, Rule)]
    if len(rules) != 1:
        raise TypeError(f"{name} needs one rule: {name}: Annotated[type, rule] = default")
    flags = [mark.name for mark in marks if isinstance(mark, Flag)]
    return Knob(name, rules[0], flags[0] if flags else None, default, docs)


def _docs(config: type) -> dict[str, str]:
    """The paragraphs below `Attributes:`; none where Python was told to leave docstrings out."""
    _, _, told = inspect.cleandoc(config.__doc__ or "").partition("Attributes:\n")
    paragraphs = re.findall(r"^    (\w+): ((?:.|\n)+?)(?=^    \w|\Z)", told, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in paragraphs}


def _sentences(docs: str) -> list[str]:
    return re.split(r"(?<=\.) (?=[A-Z\d`])", docs)
