"""`digitserve-server token`: makes, lists and revokes tokens.

The secret leaves once, on standard output, to be piped to where it is kept.  It is on no command
line, which every user of a machine can read, and in no file of the server's.
"""

import re
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from digitserve.server.guard import GuardError
from digitserve.server.guard.changes import change, read_told
from digitserve.server.guard.scopes import Scope
from digitserve.server.guard.table import is_name
from digitserve.server.guard.tokens import make_token

EXIT_FILE = 5
EXIT_NO_TOKEN = 6

_HELP = f"""\b
Exit codes:
  0  done
  2  usage
  {EXIT_FILE}  the tokens file cannot be read or written, or is wrong
  {EXIT_NO_TOKEN}  no such token (revoke)
"""
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_SPAN = re.compile(rf"([1-9][0-9]{{0,5}})([{''.join(_SECONDS)}])")
_NEVER = "never"
_LIMITS = ("images_per_second", "burst", "streams")


def _span(_: Any, __: Any, value: str) -> float | None:
    """Seconds; None for ever."""
    if value == _NEVER:
        return None
    if (found := _SPAN.fullmatch(value)) is None:
        raise click.BadParameter(f"expected 90d, 12h, 30m or never, got {value!r}")
    return float(found[1]) * _SECONDS[found[2]]


def _name(_: Any, __: Any, value: str) -> str:
    if not is_name(value):
        raise click.BadParameter("expected 1 to 128 printable characters")
    return value


_FILE = click.argument("file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE")


@click.group(epilog=_HELP)
def token() -> None:
    """Makes, lists and revokes the tokens that callers show.

    \b
    digitserve-server token make --name camera-7 --scope predict tokens.json > camera-7.token
    digitserve-server token list tokens.json
    digitserve-server token revoke camera-7 tokens.json

    A server that runs sees the change within five seconds.
    """


@token.command(epilog=_HELP)
@click.option("--name", required=True, callback=_name, help="Whose it is; logs call him so.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice([scope.value for scope in Scope]),
    help="What it allows.  May be given again.",
)
@click.option(
    "--expires",
    callback=_span,
    default="90d",
    show_default=True,
    metavar="SPAN",
    help="How long it holds: 90d, 12h, 30m; or never.",
)
@click.option(
    "--images-per-second",
    type=click.FloatRange(min=0, min_open=True, max=1e9),
    metavar="N",
    help="The most that it may have computed, over time.",
)
@click.option(
    "--burst",
    type=click.IntRange(min=1),
    metavar="N",
    help="The most at once, after a pause.  [default: those of a second]",
)
@click.option("--streams", type=click.IntRange(min=0), metavar="N", help="The most open at once.")
@_FILE
def make(
    name: str, scopes: tuple[str, ...], expires: float | None, file: Path, **limits: Any
) -> None:
    """Makes a token, adds it to FILE, and prints it, once."""
    if limits["burst"] and not limits["images_per_second"]:
        raise click.UsageError("--burst goes with --images-per-second")
    made = make_token()
    entry: dict[str, Any] = {
        "id": made.id,
        "sha256": made.sha256,
        "name": name,
        "scopes": sorted(set(map(str, scopes))),
    }
    if expires is not None:
        entry["expires"] = _instant(time.time() + expires)
    entry |= {key: value for key, value in limits.items() if value is not None}

    def add(told: dict[str, Any]) -> None:
        told.setdefault("tokens", []).append(entry)

    _or_exit(lambda: change(file, add, create=True))
    click.echo(made.token)


@token.command("list", epilog=_HELP)
@_FILE
def list_(file: Path) -> None:
    """Lists the tokens of FILE, one a line: id, name, scopes, until when, limits."""
    told = _or_exit(lambda: read_told(file))
    now = datetime.now(UTC)
    for each in told.get("tokens", []):
        until = each.get("expires") or _NEVER
        if until != _NEVER and datetime.fromisoformat(until) <= now:
            until += " (expired)"
        limits = [f"{key}={each[key]:g}" for key in _LIMITS if key in each]
        told_scopes = ",".join(each["scopes"])
        click.echo("  ".join([each["id"], each["name"], told_scopes, until, *limits]))


@token.command(epilog=_HELP)
@click.argument("which", metavar="ID|NAME")
@_FILE
def revoke(which: str, file: Path) -> None:
    """Takes out of FILE the token with this id, or all of this name."""

    def remove(told: dict[str, Any]) -> None:
        kept = [each for each in told.get("tokens", []) if which not in {each["id"], each["name"]}]
        gone = len(told.get("tokens", [])) - len(kept)
        if not gone:
            _fail(EXIT_NO_TOKEN, f"{file}: no token has the id or the name {which!r}")
        told["tokens"] = kept
        click.echo(f"revoked {gone}", err=True)

    _or_exit(lambda: change(file, remove))


def _instant(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")


def _or_exit(do: Any) -> Any:
    try:
        return do()
    except GuardError as error:
        _fail(EXIT_FILE, str(error))


def _fail(code: int, line: str) -> None:
    click.echo(f"digitserve-server: {line}", err=True)
    sys.exit(code)
