"""The playground as a process: listens, says where, and serves until it is interrupted."""

import socket
from collections.abc import Callable
from contextlib import suppress

import click
import uvicorn

from digitserve.client import AsyncDigitClient, DigitServeError
from digitserve.client.playground.app import MAX_PAGES, make_app
from digitserve.client.playground.wire import MAX_MESSAGE_BYTES

# Beside the pages' streams: what they load, and uploads.
_MAX_CONNECTIONS = 4 * MAX_PAGES
_GRACE = 2


def serve(host: str, port: int, connect: Callable[[], AsyncDigitClient], address: str) -> None:
    """Serves until it is interrupted.

    Args:
        host: what to listen on.
        port: its port; 0: a free one.
        connect: makes the client to the server, inside the event loop.
        address: the server's, to be shown.

    Raises:
        DigitServeError: if nothing can listen there.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family)
    except OSError as error:
        raise DigitServeError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    with listening:
        name = f"[{host}]" if ":" in host else host
        click.echo(f"playground on http://{name}:{listening.getsockname()[1]} for {address}")
        server = make_server(connect, address, host)
        with suppress(KeyboardInterrupt):  # uvicorn raises it when all is closed in good order
            server.run([listening])


def make_server(connect: Callable[[], AsyncDigitClient], address: str, host: str) -> uvicorn.Server:
    """Makes the web server, with a bound to everything."""
    return uvicorn.Server(
        uvicorn.Config(
            make_app(connect, address, host),
            http="h11",
            ws="websockets-sansio",  # reads the next message when the last one was taken
            ws_max_size=MAX_MESSAGE_BYTES,
            ws_per_message_deflate=False,  # a little loopback traffic, and no bombs
            lifespan="on",
            limit_concurrency=_MAX_CONNECTIONS,
            timeout_graceful_shutdown=_GRACE,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
        )
    )
