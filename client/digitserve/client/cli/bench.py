"""`digitserve bench`: measures a user's own server through the library that will ask it."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from digitserve.client import DigitServeError
from digitserve.client.cli import exits
from digitserve.client.cli.asking import VERSION, Finite, access_of, only_one_model, server_options
from digitserve.client.cli.measured import show
from digitserve.client.load.data import read_data, stroke_images
from digitserve.client.load.kinds import Kind, Load
from digitserve.client.load.record import Record
from digitserve.client.load.report import report
from digitserve.client.load.run import Run
from digitserve.client.load.schedule import Arrivals

# A stream's window is the client library's own; calls are bounded below what grpcio's server
# begins to refuse at random.
_FRAMES, _CALLS = 64, 512


@click.command(epilog=exits.HELP)
@click.option("--unary", is_flag=True, help="A call for each.  [default]")
@click.option("--stream", is_flag=True, help="Frames on streams.")
@click.option("--pipelined", is_flag=True, help="Calls through client.pipeline().")
@click.option(
    "--concurrency",
    type=click.IntRange(1, 10_000),
    metavar="N",
    help="Closed loop: N callers (with --stream: N streams), each waits for its answer.  "
    "[default: 1]",
)
@click.option(
    "--rate",
    type=Finite(0, 100_000, min_open=True),
    metavar="R",
    help="Open loop: R calls or frames a second, whatever the server does.",
)
@click.option(
    "--streams", type=click.IntRange(1, 10_000), metavar="N", help="That share the --rate."
)
@click.option(
    "--arrivals",
    type=click.Choice([each.value for each in Arrivals]),
    default=Arrivals.POISSON.value,
    show_default=True,
    help="How an open loop's calls come.",
)
@click.option(
    "--max-in-flight",
    type=click.IntRange(2, 100_000),
    metavar="N",
    help="Open loop: calls in flight; what exceeds it is not sent, and counted.  With --stream: "
    f"frames in flight on each stream.  [default: {_CALLS}, with --stream {_FRAMES}]",
)
@click.option(
    "--seconds", type=Finite(0, min_open=True), default=10.0, show_default=True,
    help="For how long calls are started.",
)  # fmt: skip
@click.option(
    "--warm-up", type=Finite(0), default=1.0, show_default=True, metavar="SECONDS",
    help="For how long before that.",
)  # fmt: skip
@click.option(
    "--images", "count", type=click.IntRange(1, 1024), default=1, show_default=True, metavar="N",
    help="Images in a call or frame.",
)  # fmt: skip
@click.option("--data", metavar="FILE|FOLDER", help="Images to send.  [default: random strokes]")
@click.option("--check", is_flag=True, help="Compare each image's answers with its first.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of strokes and arrivals.")
@click.option("--json", "json_to", metavar="FILE|-", help="Write everything as JSON.")
@click.option("--brief", is_flag=True, help="Digit and confidence alone.")
@click.option("--label", metavar="NAME", help="Ask the version with this label.")
@click.option("--model-version", "version", type=VERSION, metavar="N", help="Ask version N.")
@server_options
def bench(**options: Any) -> None:
    """Measures a server: calls a second, latency, and what the client itself costs.

    \b
    digitserve bench --concurrency 16             closed loop: 16 callers
    digitserve bench --rate 500 --data mnist/     open loop: 500 calls a second, come what may
    digitserve bench --stream --images 8          one stream, its window kept full
    """
    _reject(options)
    try:
        data = options["data"]
        images = stroke_images(seed=options["seed"]) if data is None else read_data(data)
        run = Run(_load(options), images, options["count"])
        chosen = {name: options[name] for name in ("seconds", "warm_up", "check")}
        try:
            access = access_of(click.get_current_context())
            run.go(options["address"], access=access, **chosen)
        finally:
            if run.record is not None:
                _tell(run, run.record, options)
    except (Exception, KeyboardInterrupt) as error:
        exits.leave(error, options["address"])
    sys.exit(exits.FAILED if run.record is not None and run.record.failed else exits.OK)


def _reject(options: dict[str, Any]) -> None:
    """Ends with a line of usage where options contradict each other."""
    only_one_model(options)
    kind = _kind(options)
    if options["rate"] is not None and options["concurrency"] is not None:
        raise click.UsageError("--concurrency is a closed loop, --rate an open one: name one")
    if options["streams"] is not None and (kind is not Kind.STREAM or options["rate"] is None):
        raise click.UsageError("--streams goes with --stream --rate")
    if kind is Kind.PIPELINED and options["count"] != 1:
        raise click.UsageError("--pipelined sends single images: leave out --images")
    target = options["json_to"]
    if target not in {None, "-"} and not Path(target).parent.is_dir():
        raise click.UsageError(f"--json: no folder {Path(target).parent}")


def _kind(options: dict[str, Any]) -> Kind:
    named = [kind for kind in Kind if options[kind.value]]
    if len(named) > 1:
        raise click.UsageError("name one of --unary, --stream and --pipelined")
    return named[0] if named else Kind.UNARY


def _load(options: dict[str, Any]) -> Load:
    kind = _kind(options)
    return Load(
        kind=kind,
        concurrency=options["concurrency"] or options["streams"] or 1,
        rate=options["rate"],
        arrivals=Arrivals(options["arrivals"]),
        seed=options["seed"],
        max_in_flight=options["max_in_flight"] or (_FRAMES if kind is Kind.STREAM else _CALLS),
        timeout=options["timeout"],
        version=options["version"],
        label=options["label"],
        brief=options["brief"],
    )


def _tell(run: Run, record: Record, options: dict[str, Any]) -> None:
    """Says what was measured, also when it was cut short.

    Raises:
        DigitServeError: if the server is gone, or the file cannot be written.
    """
    load = run.load
    taken = {"concurrency": load.concurrency, "max_in_flight": load.max_in_flight}
    told = report(run, record) | {"options": options | taken}
    target = options["json_to"]
    if target == "-":
        click.echo(json.dumps(told))
    else:
        show(told)
    if target not in {None, "-"}:
        try:
            Path(target).write_text(json.dumps(told) + "\n", encoding="utf-8")
        except OSError as error:
            raise DigitServeError(f"{target}: {error.strerror}") from error
    if record.gone is not None:
        raise record.gone
