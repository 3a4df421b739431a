"""What the model says, in Markdown: on the terminal, and in docs/scaling.md between its marks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from benchmarks.capacity.check import Checked
from benchmarks.capacity.costs import errors
from benchmarks.capacity.kept import Measured
from benchmarks.capacity.mixes import VERSIONS
from benchmarks.capacity.plan import Load, Machine, needed, waiting
from benchmarks.capacity.queue import TOO_BUSY, Spread
from benchmarks.results import ROOT

DOCUMENT = ROOT / "docs/scaling.md"
# The two loads that are asked about.
CAMERAS, CALLS = Load(streams=1000, fps=30), Load(calls=100_000)


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def named(load: Load) -> str:
    """A load in words."""
    calls = f"{load.calls:,.0f} calls/s" if load.calls else ""
    cameras = f"{load.streams:,} cameras, {load.fps:g} frames/s each" if load.streams else ""
    return " and ".join(each for each in (calls, cameras) if each)


def costs(what: Measured) -> str:
    """What each thing costs."""
    found, held = what.costs, what.holding
    rows = [
        ("a read of a socket, with the write that answers it", f"{found.read:.0f} µs"),
        ("a unary call beyond that", f"{found.call:.0f} µs"),
        ("a frame of an open stream beyond that", f"{found.frame:.0f} µs"),
        ("a turn of a network", f"{found.turn:.0f} µs"),
        *(
            (f"an image, version {each}", f"{found.image[each]:.1f} µs")
            for each in sorted(found.image)
        ),
        *(
            (f"waking up from idleness, version {each}", f"{found.sleep[each]:.0f} µs")
            for each in sorted(found.sleep)
        ),
        ("opening and closing a connection", f"{held.connection_us:.0f} µs"),
        ("opening a stream, its first frame included", f"{held.stream_us:.0f} µs"),
        ("an idle stream, a second", f"at most {held.idle_us:.1f} µs"),
        ("memory of a worker", f"{held.worker_mb:.0f} MB"),
        ("memory of an idle connection", f"{held.connection_kb:.0f} kB"),
        ("memory of an idle stream more", f"{held.stream_kb:.0f} kB"),
    ]
    return table(("what", "costs"), rows)


def residuals(what: Measured) -> str:
    """How well the costs explain what was measured."""
    off = errors(what.costs, what.seen)
    rows = [
        (each.name, str(each.version), f"{each.cpu_us:,.0f} µs", f"{error:+.0%}")
        for each, error in sorted(
            zip(what.seen, off, strict=True), key=lambda one: (one[0].version, one[0].name)
        )
    ]
    spread = f"half within {np.median(np.abs(off)):.0%}, the worst {max(off, key=abs):+.0%}"
    heading = ("messages", "version", "measured", "foretold")
    return f"{table(heading, rows)}\n\nFitted to these: {spread}."


def answers(what: Measured, loads: Sequence[Load], machine: Machine) -> str:
    """What loads need."""
    rows = []
    for load in loads:
        one = needed(what.costs, what.holding, load, machine)
        rows.append(
            (
                named(load),
                str(load.version),
                f"{one.message_us:.0f} µs",
                f"{one.workers}",
                f"{one.machines}",
                f"{one.up_mbit:,.0f} / {one.down_mbit:,.0f}",
                f"{one.memory_mb / 1000:.1f} GB",
            )
        )
    heading = ("load", "version", "a message", "workers", "machines", "Mbit/s up / down", "memory")
    return table(heading, rows)


def waits(what: Measured, load: Load, machine: Machine, connections: int = 0) -> str:
    """How long messages wait, by how busy workers are meant to be and how they are spread."""
    rows = []
    for utilization in sorted({0.3, 0.5, 0.6, 0.7, 0.8, 0.9, machine.utilization}):
        at = replace(machine, utilization=utilization)
        workers = needed(what.costs, what.holding, load, at).workers
        row = [f"{utilization:g}", str(workers)]
        for spread in Spread:
            served = waiting(what.costs, load, workers, spread, connections=connections)
            p50, p99 = (served.quantile(each) * 1e3 for each in (0.5, 0.99))
            row += [f"{p50:.1f} / {p99:.1f}", f"{served.busy.max():.0%}", f"{served.too_busy:.0%}"]
        rows.append(row)
    heading = ["utilization", "workers"]
    for spread in Spread:
        heading += [f"{spread.value}: p50 / p99, ms", "busiest", f"over {TOO_BUSY:.0%} busy"]
    return table(heading, rows)


def checks(done: Sequence[Checked]) -> str:
    """The model beside what was measured."""
    rows = [
        (
            one.name,
            f"{one.foretold_s / one.seconds:.2f}",
            f"{one.measured_s / one.seconds:.2f}",
            f"{one.error:+.0%}",
            f"{one.foretold_p99_s * 1e3:.1f}",
            f"{one.measured_p99_s * 1e3:.1f}",
            f"{one.starved_s / one.seconds:.0%}",
        )
        for one in done
    ]
    heading = ("load", "cores, foretold", "measured", "error", "p99 ms, foretold", "measured")
    off = np.abs([one.error for one in done])
    told = f"The median of the errors is {np.median(off):.0%}, the largest {off.max():.0%}."
    return f"{table((*heading, 'starved'), rows)}\n\n{told}"


def document(what: Measured, machine: Machine, done: Sequence[Checked]) -> None:
    """Writes the tables of docs/scaling.md anew, each between its marks."""
    loads = [replace(load, version=each) for load in (CAMERAS, CALLS) for each in VERSIONS]
    where = what.where
    text = DOCUMENT.read_text(encoding="utf-8")
    parts = {
        "where": f"Measured {where['date'][:10]}, {where['machine']['cpu']}, "
        f"{where['machine']['cores']} shared cores, Python {where['machine']['python']}.",
        "costs": costs(what),
        "residuals": residuals(what).rpartition("\n\n")[2],
        "answers": answers(what, loads, machine),
        "waits": waits(what, replace(CAMERAS, version=3), machine),
        "checks": checks(done),
    }
    DOCUMENT.write_text(marked(text, parts), encoding="utf-8")


def marked(text: str, parts: Mapping[str, str]) -> str:
    """A text with these parts in place of what is between `<!-- name -->` and `<!-- /name -->`."""
    for name, part in parts.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, _, rest = text.partition(begin)
        _, mark, after = rest.partition(end)
        if not mark:
            raise ValueError(f"there is no {begin.strip()} … {end}")
        text = f"{before}{begin}{part}\n{end}{after}"
    return text
