"""What a script can tell from the exit code, and the one line that a person gets beside it."""

import errno
import os
import sys
from typing import NoReturn

import click
import grpc

from digitserve.client.errors import (
    CallError,
    DigitServeError,
    InvalidImage,
    StreamEnded,
    TokenError,
)
from digitserve.client.images import ImageFileError

OK = 0
FAILED = 1
FILE = 3
NO_SERVER = 4
REFUSED = 5
NOT_SERVING = 6
TOKEN = 7
INTERRUPTED = 130

HELP = """\b
Exit codes:
  0  all is well
  1  some frames failed, or something unforeseen
  2  wrong usage
  3  a file or camera cannot be read, or a video not be written
  4  no server there, no gRPC server, or no answer in time
  5  the server refused the request
  6  the server is not serving (health)
  7  the token in its file cannot be read, or would travel in plain text
  130  interrupted (playground, once it serves: 0)
"""

# What a server that speaks something else makes of our first bytes, in gRPC's words.
_NOT_GRPC = ("parsing HTTP/2", "HTTP status")


def leave(error: BaseException, address: str) -> NoReturn:
    """Says what went wrong in one line and exits."""
    if isinstance(error, BrokenPipeError) or getattr(error, "errno", 0) == errno.EPIPE:
        # Whoever read our output has enough.  Nothing more may be flushed to it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(OK)
    code, line = _said(error, address)
    click.echo(f"digitserve: {' '.join(line.split())}", err=True)
    if code == INTERRUPTED:
        # A thread may be in the middle of a camera's picture: at the interpreter's end it would be
        # torn out of OpenCV, which aborts the process.
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)


def _said(error: BaseException, address: str) -> tuple[int, str]:
    match error:
        case KeyboardInterrupt():
            return INTERRUPTED, "interrupted"
        case ImageFileError() | InvalidImage():
            return FILE, str(error)
        case StreamEnded(cause=cause):
            return (NO_SERVER if cause is None else _call(cause, address)[0]), str(error)
        case CallError():
            return _call(error, address)
        case DigitServeError():  # of a camera's source, or of the video that is to be written
            return TOKEN if isinstance(error, TokenError) else FILE, str(error)
    if isinstance(error, click.ClickException):
        raise error
    return FAILED, f"unforeseen: {type(error).__name__}: {error}"


def _call(error: CallError, address: str) -> tuple[int, str]:
    if not error.reason:  # not from a digitserve server
        if any(sign in error.message for sign in _NOT_GRPC):
            return NO_SERVER, f"{address} answers, but is not a gRPC server"
        if error.code is grpc.StatusCode.UNAVAILABLE:
            return NO_SERVER, f"no server at {address}"
        if error.code is grpc.StatusCode.UNIMPLEMENTED:
            return NO_SERVER, f"{address} is a gRPC server, but not a digitserve server"
    if error.code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return NO_SERVER, f"no answer from {address} in time"
    if error.code is grpc.StatusCode.UNAVAILABLE:
        return NO_SERVER, f"{address}: {error.message}"
    broken = error.code in {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}
    return FAILED if broken else REFUSED, f"{address} refused: {error.message}"
