"""`digitserve-server config`: what would hold, and who said so; nothing is served."""

import json
from pathlib import Path

import click

from digitserve.server.cli.flags import flags, told
from digitserve.server.config import KNOBS
from digitserve.server.knobs import shown
from digitserve.server.sources import Told


@click.command()
@flags
@click.option("--describe", is_flag=True, help="Tell too what each field is.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with all that is known of each.")
@click.pass_context
def config(context: click.Context, /, describe: bool, as_json: bool, **_: object) -> None:
    """Shows every field, its value, and who said it."""
    said = told(context)
    click.echo(_json(said) if as_json else _table(said, describe=describe))


def _table(said: Told, *, describe: bool) -> str:
    rows = [("field", "value", "from", "what it is")]
    for name, knob in KNOBS.items():
        value = shown(getattr(said.config, name))
        rows.append((name, value, said.origins[name], knob.summary))
    columns = list(zip(*rows, strict=True))[: 4 if describe else 3]
    widths = [max(map(len, column)) for column in columns]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()
        for row in rows
    )


def _json(said: Told) -> str:
    fields = {
        name: {
            "value": getattr(said.config, name),
            "from": said.origins[name],
            "expected": knob.rule.expected,
            "variable": knob.variable,
            "flag": knob.flag,
            "description": knob.docs,
        }
        for name, knob in KNOBS.items()
    }
    return json.dumps(fields, indent=2, default=_plain, ensure_ascii=False)


def _plain(value: object) -> str:
    assert isinstance(value, Path)
    return str(value)
