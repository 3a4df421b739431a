"""`python -m benchmarks.capacity`: what a load needs, by what this machine's cores can do.

--measure                          what things cost here, into benchmarks/results/capacity.json
--calls 100000                     what that takes, by the measurement that was kept last
--streams 1000 --fps 30            the same for cameras
--check                            the model against loads that one and two workers take here
--document                         measures, checks, and writes the tables of docs/scaling.md
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import click  # noqa: E402

from benchmarks.capacity import kept, told  # noqa: E402
from benchmarks.capacity.check import HEADING, checked, tries  # noqa: E402
from benchmarks.capacity.mixes import VERSIONS  # noqa: E402
from benchmarks.capacity.plan import Load, Machine  # noqa: E402

_SECONDS = 1.5


@click.command()
@click.option("--measure", is_flag=True, help="Measure anew, and keep it.")
@click.option("--rounds", default=5, show_default=True, help="Of each thing that is measured.")
@click.option(
    "--file",
    default=kept.KEPT,
    show_default="benchmarks/results/capacity.json",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where measurements are kept.",
)
@click.option("--calls", default=0.0, help="Unary calls a second.")
@click.option("--streams", default=0, help="Streams open at once.")
@click.option("--fps", default=30.0, show_default=True, help="Frames a second on each.")
@click.option("--images", default=1, show_default=True, help="In each message.")
@click.option("--version", default=3, show_default=True, help="The bundled network.")
@click.option("--utilization", default=0.6, show_default=True, help="Of a worker and of a link.")
@click.option("--cores", default=8, show_default=True, help="Of a machine.")
@click.option("--spare", default=1, show_default=True, help="Cores without a worker.")
@click.option("--link", default=10_000.0, show_default=True, help="Mbit/s of a machine, each way.")
@click.option("--connections", default=0, help="That they share; 0: one for each stream or 1,000.")
@click.option("--check", is_flag=True, help="Compare with loads that can be measured here.")
@click.option("--document", is_flag=True, help="Check, and write docs/scaling.md's tables anew.")
def main(  # noqa: PLR0917 - a flag each
    measure: bool,
    rounds: int,
    file: Path,
    calls: float,
    streams: int,
    fps: float,
    images: int,
    version: int,
    utilization: float,
    cores: int,
    spare: int,
    link: float,
    connections: int,
    check: bool,
    document: bool,
) -> None:
    """Foretells what a load needs."""
    if measure or not file.exists():
        kept.write(kept.measure(rounds), file)
    what = kept.read(file)
    if measure:
        click.echo(told.costs(what))
        click.echo(told.residuals(what))
    machine = Machine(cores=cores, spare=spare, link_mbit=link, utilization=utilization)
    load = Load(calls=calls, streams=streams, fps=fps, images=images, version=version)
    if calls or streams:
        click.echo(told.answers(what, [load], machine))
        click.echo(told.waits(what, load, machine, connections))
    if check or document:
        click.echo(HEADING)
        done = []
        for each in VERSIONS:
            for one in checked(what, tries(each), _SECONDS):
                click.echo(one.told())
                done.append(one)
        if document:
            told.document(what, machine, done)


if __name__ == "__main__":
    main()
