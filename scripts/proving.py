"""What the `make prove-…` suites share: a line for each promise, with its figure; pass or fail."""

import sys
import time
from collections.abc import Callable


class Shortfall(Exception):
    """A promise that was not kept, with its figure."""


class Skipped(Exception):
    """A promise that cannot be tried here, and why."""


def expect(kept: bool, figure: str) -> str:
    """Gives the figure of a promise that was kept."""
    if not kept:
        raise Shortfall(figure)
    return figure


def prove(*promises: tuple[str, Callable[[], str]]) -> None:
    """Measures every promise; exits with 1 if any falls short."""
    short = skipped = 0
    for name, measure in promises:
        start = time.monotonic()
        try:
            verdict, figure = "pass", measure()
        except Shortfall as shortfall:
            verdict, figure = "FAIL", str(shortfall)
        except Skipped as why:
            verdict, figure = "skip", str(why)
        short += verdict == "FAIL"
        skipped += verdict == "skip"
        print(f"{verdict}  {name}: {figure}  [{time.monotonic() - start:.0f} s]", flush=True)
    passed = len(promises) - short - skipped
    print(f"{passed} passed, {short} failed" + (f", {skipped} skipped" if skipped else ""))
    sys.exit(bool(short))
