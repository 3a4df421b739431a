"""`digitserve playground`: a page that shows what the server does, on this machine."""

from typing import Any

import click

from digitserve.client import AsyncDigitClient, DigitServeError
from digitserve.client.cli import exits
from digitserve.client.cli.asking import access_of, server_options

_MISSING = "the playground needs more than is installed: pip install 'digitserve[playground]'"


def _place(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[str, int]:
    host, _, port = value.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise click.BadParameter(f"expected HOST:PORT, got {value!r}")
    return host.strip("[]"), int(port)


@click.command(epilog=exits.HELP)
@click.option(
    "--listen",
    callback=_place,
    default="127.0.0.1:8050",
    show_default=True,
    metavar="HOST:PORT",
    help="Where the page is; port 0: a free one.  Only this machine can reach the default.",
)
@server_options
def playground(listen: tuple[str, int], address: str, timeout: float) -> None:
    """Serves a page to draw on, and shows what the server makes of it while you do.

    Also a webcam, whole files of images, and the server's versions as they change.  Needs the extra
    `playground`; the webcam also needs the extra `camera`.  Ctrl-C ends it, with exit code 0.

    \b
    digitserve playground
    digitserve playground --address digits.example:50051 --tls --listen 127.0.0.1:0
    """
    try:
        access = access_of(click.get_current_context())

        def connect() -> AsyncDigitClient:
            return AsyncDigitClient(address, timeout=timeout, **access)

        _serve()(*listen, connect, address)
    except Exception as error:
        exits.leave(error, address)


def _serve() -> Any:
    try:
        import websockets  # noqa: F401, PLC0415 - uvicorn asks for it only when a page connects

        from digitserve.client.playground.serve import serve  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise DigitServeError(_MISSING) from error
    return serve
