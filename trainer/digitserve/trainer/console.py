"""How a command of the trainer ends when it cannot do what was asked: one line, one code.

Shared by `digitserve-train` and `python -m digitserve.trainer.export`.  A foreseen failure
is the user's to mend and needs no traceback; the unforeseen keeps its own.
"""

import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import click

from digitserve.trainer.errors import TrainerError

INTERRUPTED: Final = 130  # 128 + SIGINT, as shells have it
_EXTRA = frozenset({"ai_edge_litert", "jinja2", "keras", "matplotlib", "numpy", "tensorflow"})


@contextmanager
def one_line_errors(codes: Mapping[type[TrainerError], int] | None = None) -> Iterator[None]:
    """Turn foreseen failures into a line on stderr and an exit code.

    Args:
        codes: exit codes other than the errors' own.
    """
    try:
        with warnings.catch_warnings():
            # Libraries' advice to programmers; TensorFlow's log level does not silence it.
            warnings.simplefilter("ignore")
            yield
    except TrainerError as error:
        _end(str(error), (codes or {}).get(type(error), error.exit_code))
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in _EXTRA:
            raise
        _end(f"{missing.name} is missing: install `digitserve[trainer]`", 1)
    except OSError as failed:
        where = f"{failed.filename}: " if failed.filename else ""
        _end(f"{where}{failed.strerror or failed}", 1)
    except KeyboardInterrupt:
        if sys.stdout.isatty():
            click.echo()  # the progress bar has left the cursor in mid-line
        _end("interrupted; nothing half-written was left", INTERRUPTED)


def _end(message: str, code: int) -> None:
    line = " ".join(message.split())
    click.echo(f"Error: {line}", err=True)
    sys.exit(code)
