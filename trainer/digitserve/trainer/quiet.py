"""Native code that keeps its mouth shut while it is loaded.

TensorFlow and LiteRT log before their log level is known, past `sys.stderr`.  The user asked
for a network and not for the drivers that were not found; whoever sets TF_CPP_MIN_LOG_LEVEL
below 3 gets every word.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

_SILENT = "3"
_TALKATIVE = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", _SILENT) != _SILENT


@contextmanager
def hushed() -> Iterator[None]:
    """Keep what native code writes to stderr, and show it only if an import fails."""
    if _TALKATIVE:
        yield
        return
    sys.stderr.flush()
    before = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except ImportError:  # what a broken library said of itself is the only trace of it
            kept.seek(0)
            os.write(before, kept.read())
            raise
        finally:
            os.dup2(before, 2)
            os.close(before)
