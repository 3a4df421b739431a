"""The command `digitserve-server`."""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

import click

# What modules make when they are imported is no garbage: nobody looks for some there, now or later.
gc.disable()
try:
    from digitserve.server.addresses import AddressError
    from digitserve.server.app import MissingExtra, Server
    from digitserve.server.cli.flags import flags, told
    from digitserve.server.cli.usage import EXIT_USAGE, OneLineGroup
    from digitserve.server.config import Config
    from digitserve.server.guard import GuardError
    from digitserve.server.loops import loop_factory
    from digitserve.server.observe.logs import set_up_logs
    from digitserve.server.systemd import Systemd
    from digitserve.server.versions.bundle import BundleError
    from digitserve.server.workers import WorkerError
except ImportError as error:  # the base install is the client alone
    sys.exit(f"digitserve-server: {error}; pip install 'digitserve[server]'")
finally:
    gc.freeze()
    gc.enable()

if TYPE_CHECKING:
    from digitserve.server.workers.supervisor import Supervisor

EXIT_CUT = 1
EXIT_ADDRESS = 3
EXIT_MODEL = 4
EXIT_WORKER = 5


@click.group(
    cls=OneLineGroup,
    elsewhere={
        "config": "digitserve.server.cli.config",
        "token": "digitserve.server.guard.commands",
    },
    invoke_without_command=True,
    epilog="Exit codes: 0 drained cleanly, 1 something was cut, 2 usage or configuration, 3 an "
    "address cannot be had, 4 a model cannot be served, 5 a worker cannot be kept alive.",
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
    set_up_logs("console")  # until the configuration is read
    if context.invoked_subcommand is None:
        _run(told(context).config)


def _run(config: Config) -> NoReturn:
    """Serves, and exits with the code that says how it ended."""
    set_up_logs(config.log_form)
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            sys.exit(runner.run(_serve(config)))
    except AddressError as error:
        _fail(EXIT_ADDRESS, error)
    except BundleError as error:
        _fail(EXIT_MODEL, error)
    except WorkerError as error:
        _fail(EXIT_WORKER, error)
    except (GuardError, MissingExtra) as error:
        _fail(EXIT_USAGE, error)


def _fail(code: int, error: Exception) -> NoReturn:
    click.echo(f"digitserve-server: {error}", err=True)
    sys.exit(code)


async def _serve(config: Config) -> int:
    """Serves until a signal; returns the exit code."""
    signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, signals.put_nowait, number)
    systemd = Systemd(os.environ)
    systemd.say("STATUS=reading the models")
    systemd.beat()
    server = _server(config)
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
    failed = asyncio.ensure_future(server.failed())
    await asyncio.wait({first, failed}, return_when=asyncio.FIRST_COMPLETED)
    asked = first.done()
    lame_duck_s = config.lame_duck_s if not asked or first.result() == signal.SIGTERM else 0.0
    systemd.say("STOPPING=1", "STATUS=draining")
    draining = asyncio.ensure_future(server.drain(lame_duck_s))
    second = asyncio.ensure_future(signals.get()) if asked else first
    await asyncio.wait({draining, second}, return_when=asyncio.FIRST_COMPLETED)
    clean = draining.done() and draining.result()
    if not draining.done():
        draining.cancel()
        await server.stop()
    if failed.done():
        failed.result()
    failed.cancel()
    return 0 if clean else EXIT_CUT


def _server(config: Config) -> "Server | Supervisor":
    if config.workers == 1:
        return Server(config)
    # Who wants one process need not wait for what keeps several.
    from digitserve.server.workers.supervisor import Supervisor  # noqa: PLC0415

    return Supervisor(config)


def _announce(addresses: Sequence[str]) -> None:
    click.echo(f"serving on {', '.join(addresses)}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
