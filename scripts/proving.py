"""What the `make prove-…` suites share: a line for each promise, with its figure; pass or fail."""

import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import TypeAlias

# What is promised, and what gives its figure, or raises Shortfall.
Promise: TypeAlias = tuple[str, Callable[[], str]]

# A leak or a slow path is there each time; what other work does to a figure is not.
_TRIES = 3
_CI = os.environ.get("CI") == "true"


class Shortfall(Exception):
    """A promise that was not kept, with its figure."""


class Skipped(Exception):
    """A promise that cannot be tried here, and why; in CI that is no excuse."""


class OutOfBounds(Shortfall):
    """All was right but a figure that other work on the machine moves too: times, memory."""


def expect(kept: bool, figure: str, *, bounds: bool = True) -> str:
    """Gives the figure of a promise that was kept.

    Args:
        kept: whether all is right that is right or wrong, however busy the machine is.
        figure: what was seen.
        bounds: whether times and memory are within theirs; if not, `prove` measures again.

    Raises:
        OutOfBounds: if those alone are not.
        Shortfall: if it was not kept.
    """
    if not kept:
        raise Shortfall(figure)
    if not bounds:
        raise OutOfBounds(figure)
    return figure


def prove(*promises: Promise) -> None:
    """Measures every promise, again what is out of bounds; exits with 1 if any falls short."""
    short = skipped = 0
    for name, measure in promises:
        start = time.monotonic()
        try:
            verdict, figure = "pass", _within_bounds(measure)
        except Shortfall as shortfall:
            verdict, figure = "FAIL", str(shortfall)
        except Skipped as why:
            verdict, figure = "FAIL" if _CI else "skip", str(why)
        except Exception as error:  # the other promises are to be measured all the same
            traceback.print_exc()
            verdict, figure = "FAIL", repr(error)
        except KeyboardInterrupt:
            print(f"interrupted: {name}", file=sys.stderr)
            sys.exit(130)
        short += verdict == "FAIL"
        skipped += verdict == "skip"
        print(f"{verdict}  {name}: {figure}  [{time.monotonic() - start:.0f} s]", flush=True)
    passed = len(promises) - short - skipped
    print(f"{passed} passed, {short} failed" + (f", {skipped} skipped" if skipped else ""))
    sys.exit(bool(short))


def _within_bounds(measure: Callable[[], str]) -> str:
    """Gives the figure, and those before it that were out of bounds."""
    others: list[str] = []
    while True:
        try:
            return measure() + "".join(f"; before that, out of bounds: {each}" for each in others)
        except OutOfBounds as each:
            others.append(str(each))
            if len(others) == _TRIES:
                raise OutOfBounds("; again: ".join(others)) from None
