"""What is promised beside pages that send garbage, flood, or are somebody else's."""

import random
import threading
from contextlib import suppress
from pathlib import Path

from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from playground.browser import Pages, drawn
from playground.processes import Playground
from proving import expect
from support.playground import Playing, message, stroke

_FLOODERS = 4
_GARBAGE = 500


def hostile(pages: Pages, playground: Playground) -> str:
    """Refused or bounded, and a page that behaves is answered all the while."""
    playing = Playing(playground.host)
    rng = random.Random(1)  # noqa: S311 - the same in every run
    ended = sum(garbage(playing, rng) for _ in range(_GARBAGE))
    strangers = ("http://evil.example", "null", "", f"http://{playground.host}.evil.example")
    refused = sum(stranger(playing, origin) for origin in strangers)
    before = resident_bytes(playground)
    over = threading.Event()
    floods = [
        threading.Thread(target=flood, args=(playing, over, bool(number % 2)), daemon=True)
        for number in range(_FLOODERS)
    ]
    for each in floods:
        each.start()
    with pages.page() as page:
        for digit in (4, 7, 9):
            drawn(page, digit)
    grown = (resident_bytes(playground) - before) / 2**20
    over.set()
    for each in floods:
        each.join()
    with pages.page() as page:
        drawn(page, 5)
    return expect(
        ended == _GARBAGE and refused == len(strangers),
        f"{ended} of {_GARBAGE} pages of garbage ended; {refused} of {len(strangers)} other "
        f"origins refused; beside {_FLOODERS} floods three digits read right, "
        f"memory {grown:+.0f} MiB",
        bounds=grown < 50,
    )


def garbage(playing: Playing, rng: random.Random) -> bool:
    """Whether a page that sends bent bytes is put out."""
    bent = rng.choice(
        (
            rng.randbytes(rng.randrange(200)),
            message(stroke())[: rng.randrange(3000)],
            message(stroke(), kind=rng.randrange(3, 256)),
            message(stroke(), size=(rng.randrange(57, 65536), 56)),
        )
    )
    try:
        with playing.page() as page:
            page.socket.send(bent)
            page.hear("nothing")
    except ConnectionClosed as closed:
        return closed.rcvd is not None and closed.rcvd.code == 1003
    return False


def stranger(playing: Playing, origin: str) -> bool:
    """Whether a page of another origin is refused."""
    try:
        with playing.socket(origin):
            return False
    except InvalidStatus as refused:
        return bool(refused.response.status_code == 403)


def flood(playing: Playing, over: threading.Event, reads: bool) -> None:
    """Sends as fast as it is let; reads what comes, or nothing."""
    with suppress(WebSocketException, OSError), playing.socket() as opened:
        while not over.is_set():
            opened.send(message(stroke()))
            with suppress(TimeoutError):
                if reads:
                    opened.recv(timeout=0)


def resident_bytes(playground: Playground) -> int:
    """What the playground holds in memory."""
    status = Path(f"/proc/{playground.process.pid}/status").read_text(encoding="utf-8")
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) * 1024
