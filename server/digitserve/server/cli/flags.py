"""The flags of the command, made from the fields that have one.

Click only splits the command line: a flag's text is held to the same rule as a variable's.
"""

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from digitserve.server.cli.usage import Refused
from digitserve.server.config import KNOBS, ConfigError
from digitserve.server.knobs import Knob
from digitserve.server.rules import Many, There
from digitserve.server.sources import FILE_FLAG, FILE_VARIABLE, Told, read_config

_FILE = "config_file"

F = TypeVar("F", bound=Callable[..., Any])


def flags(command: F) -> F:
    """Gives a command the flags; `told` reads them."""
    for knob in reversed(list(KNOBS.values())):
        if knob.flag is not None:
            command = _option(knob)(command)
    return click.option(
        FILE_FLAG,
        _FILE,
        metavar="FILE",
        type=click.Path(),
        help=f"A TOML file that says any field; a flag wins.  [variable: {FILE_VARIABLE}]",
    )(command)


def told(context: click.Context) -> Told:
    """What file, variables and flags say; a flag after a subcommand's name wins.

    Raises:
        Refused: if it is wrong.
    """
    given = _given(context)
    said = {name: value for name, value in given.items() if name in KNOBS}
    try:
        return read_config(said, given.get(_FILE), os.environ)
    except ConfigError as error:
        raise Refused(str(error)) from error


def _given(context: click.Context | None) -> dict[str, Any]:
    if context is None:
        return {}
    given = {name: value for name, value in context.params.items() if value not in (None, ())}
    return _given(context.parent) | given


def _option(knob: Knob) -> Any:
    assert knob.flag is not None
    summary = knob.summary.replace("`", "")
    help_ = summary[:1].upper() + summary[1:]
    if isinstance(knob.default, bool):
        return click.option(f"{knob.flag}/{knob.off}", knob.name, default=None, help=help_)
    many = isinstance(knob.rule, Many)
    return click.option(
        knob.flag,
        knob.name,
        multiple=many,
        type=click.Path() if isinstance(knob.rule, There) else str,
        metavar=knob.rule.metavar,
        help=help_ + ("  May be given again." if many else "") + f"  [default: {knob.usual}]",
    )
