"""The command `digitserve-server`."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

import click

try:
    from digitserve.server.addresses import AddressError
    from digitserve.server.app import MissingExtra, Server
    from digitserve.server.cli.config import config
    from digitserve.server.cli.flags import flags, told
    from digitserve.server.cli.usage import EXIT_USAGE, OneLineGroup
    from digitserve.server.config import Config
    from digitserve.server.guard import GuardError
    from digitserve.server.guard.commands import token
    from digitserve.server.systemd import Systemd
    from digitserve.server.versions.bundle import BundleError
except ImportError as error:  # the base install is the client alone
    sys.exit(f"digitserve-server: {error}; pip install 'digitserve[server]'")

EXIT_CUT = 1
EXIT_ADDRESS = 3
EXIT_MODEL = 4


@click.group(
    cls=OneLineGroup,
    invoke_without_command=True,
    epilog="Exit codes: 0 drained cleanly, 1 something was cut, 2 usage or configuration, 3 an "
    "address cannot be had, 4 a model cannot be served.",
)
@click.version_option(package_name="digitserve")
@flags
@click.pass_context
def main(context: click.Context, /, **_: object) -> None:
    """Serves handwritten digit models over gRPC, unless a command below is named.

    \b
    digitserve-server                                       the bundled models, 127.0.0.1:50051
    digitserve-server --models models --address 127.0.0.1:0
    digitserve-server --models epic_num_reader.keras --input-range 0..1
    digitserve-server --config server.toml

    SIGTERM or Ctrl-C finishes what was accepted, then stops; a second one stops at once.
    """
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("digitserve").setLevel(logging.INFO)
    if context.invoked_subcommand is None:
        _run(told(context).config)


main.add_command(config)
main.add_command(token)


def _run(config: Config) -> NoReturn:
    """Serves, and exits with the code that says how it ended."""
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            sys.exit(runner.run(_serve(config)))
    except AddressError as error:
        _fail(EXIT_ADDRESS, error)
    except BundleError as error:
        _fail(EXIT_MODEL, error)
    except (GuardError, MissingExtra) as error:
        _fail(EXIT_USAGE, error)


def _fail(code: int, error: Exception) -> NoReturn:
    click.echo(f"digitserve-server: {error}", err=True)
    sys.exit(code)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The loop of uvloop where it is installed: it answers a fifth more calls than asyncio's."""
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _serve(config: Config) -> int:
    """Serves until a signal; returns the exit code."""
    signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, signals.put_nowait, number)
    systemd = Systemd(os.environ)
    systemd.say("STATUS=reading the models")
    systemd.beat()
    server = Server(config)
    starting = asyncio.ensure_future(server.start())
    first = asyncio.ensure_future(signals.get())
    await asyncio.wait({starting, first}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        await server.stop()
        # A network may be being read, or compiled, for minutes yet: nobody waits for that.
        os._exit(0)
    addresses = starting.result()
    _announce(addresses)
    systemd.say("READY=1", f"STATUS=serving on {', '.join(addresses)}")
    lame_duck_s = config.lame_duck_s if await first == signal.SIGTERM else 0.0
    systemd.say("STOPPING=1", "STATUS=draining")
    draining = asyncio.ensure_future(server.drain(lame_duck_s))
    second = asyncio.ensure_future(signals.get())
    await asyncio.wait({draining, second}, return_when=asyncio.FIRST_COMPLETED)
    if not draining.done():
        draining.cancel()
        await server.stop()
        return EXIT_CUT
    return 0 if draining.result() else EXIT_CUT


def _announce(addresses: Sequence[str]) -> None:
    click.echo(f"serving on {', '.join(addresses)}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
