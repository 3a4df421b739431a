"""What commands that ask a server share: their options, and the client they ask through."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from digitserve.client import DigitClient, DigitServeError, Tls, TokenError
from digitserve.client._again import DEFAULT_RETRIES
from digitserve.client._channel import DEFAULT_ADDRESS, DEFAULT_TIMEOUT
from digitserve.client.cli import exits

_ACCESS = "digitserve.access"

#: What the contract can say.
VERSION = click.IntRange(1, 2**64 - 1)


class Finite(click.FloatRange):
    """A number that is one: neither infinite nor NaN, which no comparison refuses."""

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> Any:
        """Reads it."""
        number = super().convert(value, param, context)
        if not math.isfinite(number):
            self.fail(f"expected a number, got {value}", param, context)
        return number


#: A time.  Thirty years are enough; far beyond them gRPC and protobuf cannot say it.
SECONDS = Finite(min=0, min_open=True, max=10**9)


def server_options(command: Any) -> Any:
    """What every command takes that asks a server by calls."""
    timeout = click.option(
        "--timeout",
        type=SECONDS,
        default=DEFAULT_TIMEOUT,
        show_default=True,
        metavar="SECONDS",
        help="How long a call may take.",
    )
    return streaming_options(timeout(command))


def streaming_options(command: Any) -> Any:
    """What a command takes that asks by streams alone, which last."""
    for option in (
        *_access_options(),
        click.option(
            "--address",
            callback=_no_empty_address,
            envvar="DIGITSERVE_ADDRESS",
            default=DEFAULT_ADDRESS,
            show_default=True,
            show_envvar=True,
            help="host:port, unix:PATH or dns:///NAME:PORT of the server.",
        ),
    ):
        command = option(command)
    return command


def _no_empty_address(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if not value:
        raise click.BadParameter("expected an address, got none")
    return value


def _access_options() -> Iterator[Any]:
    """Whom to ask, and how to be let in.  They wait beside the command's own, for `access_of`."""

    def kept(name: str, option: str, text: str, **more: Any) -> Any:
        def keep(context: click.Context, _: click.Parameter, value: Any) -> None:
            context.meta.setdefault(_ACCESS, {})[name] = value

        return click.option(option, help=text, expose_value=False, callback=keep, **more)

    yield kept(
        "token_in_plain_text",
        "--token-in-plain-text",
        "Send the token without TLS, also to other machines.",
        is_flag=True,
    )
    yield kept(
        "round_robin",
        "--round-robin",
        "Ask all servers in turn whose addresses the name has.",
        is_flag=True,
    )
    file = click.Path(exists=True, dir_okay=False, path_type=Path)
    token = {"envvar": "DIGITSERVE_TOKEN_FILE", "show_envvar": True}
    yield kept("token", "--token-file", "The file of the token to send.", type=file, **token)
    yield kept("key", "--key", "The key of --cert.", type=file)
    yield kept("cert", "--cert", "A certificate to show, PEM.", type=file)
    yield kept("ca", "--ca", "Use TLS; who vouches for the server, PEM.", type=file)
    yield kept("tls", "--tls", "Use TLS, with the authorities that gRPC trusts.", is_flag=True)


def access_of(context: click.Context) -> dict[str, Any]:
    """What a client is to be made with, by the options of the present command.

    Raises:
        UsageError: if they contradict each other.
        DigitServeError: if a file of theirs cannot be used.
    """
    told = context.meta.get(_ACCESS, {})
    files = {name: told.get(name) for name in ("ca", "cert", "key")}
    if (files["cert"] is None) != (files["key"] is None):
        raise click.UsageError("--cert and --key go together")
    credentials = None
    if any(files.values()) or told.get("tls"):
        try:
            credentials = Tls(**files).credentials()
        except (OSError, ValueError) as error:
            raise DigitServeError(str(error)) from None
    return {
        "round_robin": bool(told.get("round_robin")),
        "credentials": credentials,
        "token": None if told.get("token") is None else _reader(told["token"]),
        "token_in_plain_text": bool(told.get("token_in_plain_text")),
    }


def _reader(path: Path) -> Callable[[], str]:
    """Reads the token for each call, so that a new one in the file is sent at once."""

    def read() -> str:
        try:
            return path.read_text(encoding="ascii", errors="replace").strip()
        except OSError as error:
            raise TokenError(f"{path}: {error.strerror}") from None

    return read


def json_option(command: Any) -> Any:
    """What every command takes that shows its results to programs as well."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")(command)


def retries_option(command: Any) -> Any:
    """What a command takes whose calls a busy server may refuse."""
    return click.option(
        "--retries",
        type=click.IntRange(min=0),
        default=DEFAULT_RETRIES,
        show_default=True,
        metavar="N",
        help="How often a call is asked again that a busy server refused.",
    )(command)


@contextmanager
def asking(
    address: str, timeout: float = DEFAULT_TIMEOUT, retries: int = DEFAULT_RETRIES
) -> Iterator[DigitClient]:
    """A client, and the one place where errors become a line and an exit code."""
    try:
        access = access_of(click.get_current_context())
        with DigitClient(address, timeout=timeout, retries=retries, **access) as client:
            yield client
    except (Exception, KeyboardInterrupt) as error:
        exits.leave(error, address)


def only_one_model(model: dict[str, Any]) -> None:
    """Ends with a line of usage where a version and a label are named."""
    if model["version"] is not None and model["label"] is not None:
        raise click.UsageError("name --model-version or --label, not both")
