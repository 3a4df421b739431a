"""`make prove-polyglot`: every language's stubs, compiled from clean, called and compared.

Each language's driver does the cases of `examples/conformance/cases.json`; each outcome must be as
the file says and, to the bit, as Python's driver saw it on the same server.  Everything is built
in a fresh copy of the tree; what the toolchains have in their own caches, they may use.

`--short` leaves out the mutations and the older and newer releases; every language and every case
stays in.  `--only LANGUAGE` (again and again) and `--keep` (what was built) are for whoever writes
a driver.
"""

import argparse
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from polyglot import EXAMPLES, skew, tools
from polyglot.compare import Outcomes
from polyglot.languages import Language, fresh_tree, languages
from polyglot.servers import HERE, Installation, real_server
from polyglot.trial import Trial, second_chance, trial
from proving import Promise, expect, prove


class Run:
    """One run of the suite: one real server, and what Python saw on it."""

    def __init__(self, real: str) -> None:
        self._real = real
        self._python: Outcomes | None = None

    def conformance(self, language: Language, built: "Future[float]") -> str:
        """Every case, as the file and as Python say."""
        seconds = built.result()
        tried = first = self._trial(language)
        if first.faults:
            tried = second_chance(first, self._trial(language))
        self._python = self._python or tried.outcomes
        again = f", {len(first.faults)} of them at the second try" if first.faults else ""
        return f"{tried.passed()}{again}; built in {seconds:.0f} s"

    def mutation(self, language: Language, built: "Future[float]", mutation: dict[str, str]) -> str:
        """A driver that is wrong is caught."""
        built.result()
        with language.mutated(mutation):
            language.build()
            # Nothing that is timed: a fault is to be the mutation's.
            tried = self._trial(language, None)
        return expect(bool(tried.faults), f"caught by {len(tried.faults)} of {tried.asked} cases")

    def _trial(self, language: Language, by: Installation | None = HERE) -> Trial:
        return trial(language, self._real, by, reference=self._python)


def _contract() -> str:
    tools.buf("lint")
    return "buf lint, STANDARD and COMMENTS: clean"


def _compatible() -> str:
    tools.buf("breaking", "protos", "--against", str(EXAMPLES / "conformance/released.binpb"))
    return "buf breaking, FILE, against the released contract: nothing"


def _generated() -> str:
    counted = ", ".join(f"{name} {files}" for name, files in tools.generate_messages().items())
    return f"files of messages, not compiled: {counted}"


_LINT: Promise = ("the contract is well said", _contract)
_BREAKING: Promise = ("the contract breaks nobody", _compatible)
_GENERATED: Promise = ("generators without a driver take it", _generated)


def main() -> None:
    """Reads the command line and proves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--only", action="append")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--mutations", action="store_true", help="also with --only or --short")
    options = parser.parse_args()
    whole = not (options.short or options.only)
    asked = languages(options.only)
    tools.set_up()
    packages = {each for language in asked for each in language.spec.get("apt", ())}
    tools.install_packages(packages | {"protobuf-compiler"})
    fresh_tree(options.keep)
    # Two at a time: while one compiles, another downloads.
    with ThreadPoolExecutor(2) as pool:
        builds = [pool.submit(_built, language) for language in asked]
    promises: list[Promise] = [] if options.only else [_LINT, _BREAKING, _GENERATED]
    # Some cases are about time: nothing else runs beside them by now.
    with real_server() as real:
        run = Run(real)
        pairs = list(zip(asked, builds, strict=True))
        promises += [(each.name, partial(run.conformance, each, built)) for each, built in pairs]
        if whole or options.mutations:
            promises += [
                (f"{each.name}, mutated: {it['name']}", partial(run.mutation, each, built, it))
                for each, built in pairs
                for it in each.spec["mutations"]
            ]
        prove(*promises, *(skew.promises() if whole else ()))


def _built(language: Language) -> float:
    language.require()
    return language.build()


if __name__ == "__main__":
    main()
