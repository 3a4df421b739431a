"""What the `make prove-…` suites share: a line for each promise, with its figure; pass or fail."""

import os
import sys
import time
from collections.abc import Callable
from typing import TypeAlias

# What is promised, and what gives its figure, or raises Shortfall.
Promise: TypeAlias = tuple[str, Callable[[], str]]

_CI = os.environ.get("CI") == "true"


class Shortfall(Exception):
    """A promise that was not kept, with its figure."""


class Skipped(Exception):
    """A promise that cannot be tried here, and why; in CI that is no excuse."""


class Slow(Shortfall):
    """All was right but the pace, which other work on the machine can spoil."""


def expect(kept: bool, figure: str, *, pace: bool = True) -> str:
    """Gives the figure of a promise that was kept.

    Raises:
        Slow: if its pace was not.
        Shortfall: if it was not.
    """
    if not kept:
        raise Shortfall(figure)
    if not pace:
        raise Slow(figure)
    return figure


def tried_again(measure: Callable[[], str], tries: int = 3) -> str:
    """Measures again what was merely slow, and says so.

    Raises:
        Slow: with every figure, if it always was.
        Shortfall: if more is wrong.
    """
    slow: list[str] = []
    while True:
        try:
            return measure() + "".join(f"; before that, slower: {each}" for each in slow)
        except Slow as each:
            slow.append(str(each))
            if len(slow) == tries:
                raise Slow("; again: ".join(slow)) from None


def prove(*promises: Promise) -> None:
    """Measures every promise; exits with 1 if any falls short."""
    short = skipped = 0
    for name, measure in promises:
        start = time.monotonic()
        try:
            verdict, figure = "pass", measure()
        except Shortfall as shortfall:
            verdict, figure = "FAIL", str(shortfall)
        except Skipped as why:
            verdict, figure = "FAIL" if _CI else "skip", str(why)
        except KeyboardInterrupt:
            print(f"interrupted: {name}", file=sys.stderr)
            sys.exit(130)
        short += verdict == "FAIL"
        skipped += verdict == "skip"
        print(f"{verdict}  {name}: {figure}  [{time.monotonic() - start:.0f} s]", flush=True)
    passed = len(promises) - short - skipped
    print(f"{passed} passed, {short} failed" + (f", {skipped} skipped" if skipped else ""))
    sys.exit(bool(short))
