"""What commands that ask a server share: their options, and the client they ask through."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from digitserve.client import DigitClient
from digitserve.client._channel import DEFAULT_ADDRESS, DEFAULT_TIMEOUT
from digitserve.client.cli import exits

#: What the contract can say.
VERSION = click.IntRange(1, 2**64 - 1)


def server_options(command: Any) -> Any:
    """What every command that asks a server takes."""
    for option in (
        click.option(
            "--timeout",
            type=click.FloatRange(min=0, min_open=True),
            default=DEFAULT_TIMEOUT,
            show_default=True,
            metavar="SECONDS",
            help="How long a call may take.",
        ),
        click.option(
            "--address",
            envvar="DIGITSERVE_ADDRESS",
            default=DEFAULT_ADDRESS,
            show_default=True,
            show_envvar=True,
            help="host:port or unix:PATH of the server.",
        ),
    ):
        command = option(command)
    return command


def json_option(command: Any) -> Any:
    """What every command takes that shows its results to programs as well."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")(command)


@contextmanager
def asking(address: str, timeout: float) -> Iterator[DigitClient]:
    """A client, and the one place where errors become a line and an exit code."""
    try:
        with DigitClient(address, timeout=timeout) as client:
            yield client
    except (Exception, KeyboardInterrupt) as error:
        exits.leave(error, address)


def only_one_model(model: dict[str, Any]) -> None:
    """Ends with a line of usage where a version and a label are named."""
    if model["version"] is not None and model["label"] is not None:
        raise click.UsageError("name --model-version or --label, not both")
