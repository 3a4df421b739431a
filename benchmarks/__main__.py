"""`make bench-quick` and `make bench`: the ratios that digitserve promises, measured side by side.

Prints a line for each row beside what the reference differs from itself in the same run, leaves
everything as JSON (and plots) in `benchmarks/results/`, and exits with 1 if a row falls short.
"""

import asyncio
import os
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
# A user's server is compiled once, not at every start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import click  # noqa: E402

from benchmarks import growth, options, path, results, rows, table  # noqa: E402
from benchmarks.subjects import echo_and_server  # noqa: E402


@click.command()
@click.option("--quick", is_flag=True, help="Eight rounds, no growth: under four minutes.")
@click.option("--only", default="", metavar="TEXT", help="Rows whose names contain this.")
def main(quick: bool, only: str) -> None:
    """Measures digitserve against what it stands on."""
    done: list[rows.Result] = []
    rounds = 8 if quick else 12

    def measured(some: Iterable[rows.Row]) -> None:
        for row in some:
            if only in row.name:
                done.append(rows.run(row, rounds))
                click.echo(rows.line(done[-1]))

    click.echo(rows.HEADING)
    # One loop for all clients: grpc.aio does not like to lose the one that it began with.
    with asyncio.Runner() as runner, echo_and_server() as up:
        measured(table.server_rows(up, runner))
        measured(table.client_rows(up["ours"].command.address, runner))
        grown = [] if quick or only else list(growth.curves(up))
    measured(table.engine_rows())
    measured(table.start_rows())
    steps = {}
    if not quick:
        click.echo("\nwhat an option costs: server CPU a call, to the same without it")
        with options.option_rows() as some:
            measured(some)
        steps = path.steps()
        click.echo(f"\n{path.told(steps)}\n")
    written = results.write(done, grown, steps)
    short = [result.row for result in done if result.verdict == "FAIL"]
    click.echo(f"{len(done) - len(short)} rows hold, {len(short)} fall short; {written}")
    sys.exit(bool(short))


if __name__ == "__main__":
    main()
