"""`digitserve models`: which versions a server holds, and which of them answers."""

import json
from typing import Any

import click
import grpc

from digitserve.client import FailedPrecondition, ModelState, ModelVersion, NotFound
from digitserve.client.cli import exits
from digitserve.client.cli.asking import VERSION, asking, json_option, server_options
from digitserve.client.cli.versions import show_json, show_list, show_one, why

_version = click.argument("version", type=VERSION, metavar="N")
_expect = click.option(
    "--expect",
    type=VERSION,
    metavar="N",
    help="Only if version N is stable now.",
)


def _asks(command: Any) -> Any:
    """What every command of this group takes."""
    return server_options(json_option(command))


@click.group(epilog=exits.HELP)
def models() -> None:
    """Shows the versions of a server, and changes which answers.

    \b
    digitserve models list                       what is there, and how it does
    digitserve models show 2                     everything known of version 2
    digitserve models load 2                     from the server's models folder
    digitserve models promote 2 --expect 1       version 2 answers from now on
    digitserve models rollback                   back to the one before
    digitserve models label canary 2             for who asks for `canary`
    digitserve models unload 1                   let go of it

    Where no answer to a change comes in time, `list` tells whether it was made.
    """


@models.command("list", epilog=exits.HELP)
@_asks
def list_(address: str, timeout: float, as_json: bool) -> None:
    """Lists the versions, and why some were refused.

    Accuracy is that of the version's own test set, gate accuracy that of the server's.
    """
    with asking(address, timeout) as client:
        show_list(client.models.list(), as_json=as_json)


@models.command("show", epilog=exits.HELP)
@_version
@_asks
def show(version: int, address: str, timeout: float, as_json: bool) -> None:
    """Shows everything known of version N."""
    with asking(address, timeout) as client:
        there = {each.version: each for each in client.models.list()}
        if version not in there:
            numbers = ", ".join(map(str, there)) or "none"
            said = f"no version '{version}' here; there is: {numbers}"
            raise NotFound(grpc.StatusCode.NOT_FOUND, said)
        show_one(there[version], as_json=as_json)


@models.command("load", epilog=exits.HELP)
@_version
@_asks
def load(version: int, address: str, timeout: float, as_json: bool) -> None:
    """Loads version N from the server's models folder.

    It is read, checked and tried, which may take a large network longer than --timeout.  One that
    its gates refuse is told with the reason and exit code 5.
    """
    with asking(address, timeout) as client:
        loaded = client.models.load(version)
        refused = loaded.state is ModelState.REFUSED
        if as_json or not refused:
            _tell(loaded, f"is {loaded.state.name.lower()}", as_json=as_json)
        if refused:
            said = f"version {loaded.version}: {why(loaded)}"
            raise FailedPrecondition(grpc.StatusCode.FAILED_PRECONDITION, said)


@models.command("promote", epilog=exits.HELP)
@_version
@_expect
@_asks
def promote(version: int, expect: int | None, address: str, timeout: float, as_json: bool) -> None:
    """Makes version N stable, if it passes its gates.

    Whoever names neither a version nor a label is answered by it from then on.
    """
    with asking(address, timeout) as client:
        promoted = client.models.promote(version, expected_stable=expect)
        _tell(promoted, "is stable now", as_json=as_json)


@models.command("rollback", epilog=exits.HELP)
@_expect
@_asks
def rollback(expect: int | None, address: str, timeout: float, as_json: bool) -> None:
    """Makes the version stable again that was so before."""
    with asking(address, timeout) as client:
        before = client.models.roll_back(expected_stable=expect)
        _tell(before, "is stable again", as_json=as_json)


@models.command("unload", epilog=exits.HELP)
@_version
@_asks
def unload(version: int, address: str, timeout: float, as_json: bool) -> None:
    """Lets go of version N, which bears no label."""
    with asking(address, timeout) as client:
        client.models.unload(version)
        click.echo(json.dumps({"version": version}) if as_json else f"version {version} is gone")


@models.command("label", epilog=exits.HELP)
@click.argument("label", metavar="NAME")
@click.argument("version", type=VERSION, required=False, metavar="[N]")
@_asks
def label(label: str, version: int | None, address: str, timeout: float, as_json: bool) -> None:
    """Gives label NAME to version N, or takes it away.

    Without N, no version bears it any more.
    A label is of lower-case letters, digits and dashes; `stable` is for promote.
    """
    with asking(address, timeout) as client:
        client.models.set_label(label, version)
        if as_json:
            click.echo(json.dumps({"label": label, "version": version}))
        elif version is None:
            click.echo(f"no version is {label} now")
        else:
            click.echo(f"version {version} is {label} now")


def _tell(version: ModelVersion, news: str, *, as_json: bool) -> None:
    if as_json:
        show_json(version)
    else:
        click.echo(f"version {version.version} {news}")
