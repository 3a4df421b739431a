"""`make bench-polyglot`: what one Predict takes in each language, into `benchmarks/polyglot.md`.

Also writes which generators and versions that was, into `docs/languages.md`.

Drivers take turns, three rounds, each with a server of its own that has nothing else to do; what is
printed is the median of the rounds.  The server's part is the same for all, so what differs is the
language's own.
"""

import argparse
import datetime
import os
import platform
import statistics

from polyglot import ROOT
from polyglot.languages import Language, fresh_tree, languages
from polyglot.servers import real_server
from polyglot.tools import set_up
from proving import Shortfall, Skipped

LANGUAGES = ROOT / "docs" / "languages.md"
PAGE = ROOT / "benchmarks" / "polyglot.md"
ROUNDS = 3


def main() -> None:
    """Builds, measures, writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=3000)
    parser.add_argument("--only", action="append")
    parser.add_argument("--keep", action="store_true", help="what was built")
    options = parser.parse_args()
    set_up()
    fresh_tree(options.keep)
    built = [language for language in languages(options.only) if _built(language)]
    rounds: dict[str, list[dict[str, int]]] = {language.name: [] for language in built}
    for _ in range(ROUNDS):
        for language in built:
            with real_server() as address:
                rounds[language.name].append(language.latency(address, options.calls))
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(_page(built, rounds, options.calls), encoding="utf-8")
    LANGUAGES.write_text(_languages(built), encoding="utf-8")
    print(PAGE.read_text(encoding="utf-8"))


def _built(language: Language) -> bool:
    try:
        language.require()
        language.build()
    except (Skipped, Shortfall) as why:
        print(f"left out  {language.name}: {why}")
        return False
    return True


def _page(built: list[Language], rounds: dict[str, list[dict[str, int]]], calls: int) -> str:
    rows = []
    for language in built:
        p50s = [each["p50_us"] for each in rounds[language.name]]
        p99 = statistics.median(each["p99_us"] for each in rounds[language.name])
        rows.append((statistics.median(p50s), language.name, p50s, p99))
    table = "\n".join(
        f"| {name} | {p50:.0f} | {min(p50s)} to {max(p50s)} | {p99:.0f} |"
        for p50, name, p50s, p99 in sorted(rows)
    )
    return f"""# A call from each language

One `Predict` of one image on loopback, one after the other on one connection: {calls} calls after
200 that do not count, {ROUNDS} rounds by turns; microseconds, medians of the rounds. Most of it is
the server's, and the same for all. Drivers are built as `make prove-polyglot` builds them, in the
shortest time: those in C++ and Rust without optimisation.

`make bench-polyglot`, {datetime.datetime.now(tz=datetime.UTC):%Y-%m-%d}, {os.cpu_count()} cores \
{platform.machine()}, Python {platform.python_version()}. One run on a shared machine: compare
rows, not runs.

| language | p50 | of the rounds | p99 |
| --- | --- | --- | --- |
{table}
"""


def _languages(built: list[Language]) -> str:
    table = "\n".join(
        f"| [{each.name}](../examples/{each.folder}) | {each.spec['generator']} "
        f"| {'; '.join(each.versions())} |"
        for each in sorted(built, key=lambda each: each.name)
    )
    return f"""# Languages

Each has a client in `examples/`; `make prove-polyglot` compiles it from clean and holds it to every
case. Last tried with these versions ({datetime.datetime.now(tz=datetime.UTC):%Y-%m-%d}, `make
bench-polyglot`); Python also with the lowest and highest grpcio and protobuf that it supports; Ruby
and PHP with the gRPC that Debian has.

For C#, Kotlin and Objective-C, the messages are generated (`buf.gen.yaml`) and not compiled. C#
needs the .NET SDK and gRPC's packages from NuGet, of which Debian has neither; for the other two
there is no client yet.

| language | generator | tried with |
| --- | --- | --- |
{table}
"""


if __name__ == "__main__":
    main()
