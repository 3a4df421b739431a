"""A page that calls `Predict` over gRPC-Web: built from `examples/browser`, in a real browser."""

import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc

from digitserve.v1 import digits_pb2, digits_pb2_grpc
from mnist_here import test_set
from polyglot import ROOT, tools
from proving import Shortfall, Skipped, expect
from support.command import server_command
from support.scrape import unused_address

_EXAMPLE = ROOT / "examples" / "browser"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_IMAGES = 1000
_SHOWN = re.compile(r"<title>(?P<refusal>.*?)</title>.*<output>(?P<digits>.*?)</output>", re.S)


def browser() -> str:
    """The page reads the first thousand test images as `Predict` does; a refusal is told in it.

    Raises:
        Skipped: if Node or Chromium is not here.
    """
    chromium = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if chromium is None or shutil.which("npm") is None:
        raise Skipped("needs Node.js with npm, and Debian's chromium")
    _build()
    images = test_set()[0][:_IMAGES]
    http = unused_address()
    with tempfile.TemporaryDirectory() as folder, _pages(Path(folder)) as origin:
        for each in ("index.html", "page.js"):
            shutil.copy(_EXAMPLE / "build" / each, folder)
        Path(folder, "digits.bin").write_bytes(images.tobytes())
        with server_command("--http", http, DIGITSERVE_SERVER_HTTP_ORIGINS=origin) as command:
            shown = _shown(chromium, f"{origin}/?server=http://{http}", Path(folder))
            known = _known(command.address, images.tobytes())
    digits = (
        [int(each) for each in shown["digits"].split()] if shown["digits"][:1].isdigit() else []
    )
    same = sum(one == other for one, other in zip(digits, known, strict=False))
    refused = "InvalidArgument: " in shown["refusal"] and "784" in shown["refusal"]
    return expect(
        same == len(known) == _IMAGES and refused,
        f"{same} of {len(known)} digits in the page as over gRPC; a wrong call: "
        f"{shown['refusal']!r}" + ("" if same else f"; the page says {shown['digits']!r}"),
    )


def _build() -> None:
    tools.set_up()
    for command in (["npm", "ci", "--silent"], ["npm", "run", "--silent", "build"]):
        done = subprocess.run(
            command,
            cwd=_EXAMPLE,
            env=os.environ | {"PATH": tools.search_path()},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Shortfall((done.stdout + done.stderr).strip()[-500:])


@contextmanager
def _pages(folder: Path) -> Iterator[str]:
    """Serves a folder; gives its origin."""
    handler = partial(_Quiet, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nobody wants to know."""


def _shown(chromium: str, page: str, folder: Path) -> dict[str, str]:
    """What stands in a page when it has settled."""
    flags = ("--headless=new", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000")
    done = subprocess.run(
        [chromium, *flags, f"--user-data-dir={folder / 'profile'}", "--dump-dom", page],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    found = _SHOWN.search(done.stdout)
    if found is None:
        raise Shortfall(f"the browser shows {done.stdout[-300:]!r}")
    return found.groupdict()


def _known(address: str, pixels: bytes) -> list[int]:
    """What the server says over gRPC."""
    with grpc.insecure_channel(address) as channel:
        request = digits_pb2.PredictRequest(pixels=pixels, count=_IMAGES)
        answer = digits_pb2_grpc.DigitServiceStub(channel).Predict(request)
    return [each.digit for each in answer.predictions]
