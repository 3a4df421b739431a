"""`make prove-playground`: the promises about the playground, in Chromium, each with its figure.

`--short` looks at each view light on a desk and dark on a phone only.  `--pictures` writes the
screenshots anew that the documentation shows.  `--only PART` proves what has that in its name.
"""

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from PIL import Image  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402

from playground import DOCS, OUT  # noqa: E402
from playground.browser import Pages, browsing  # noqa: E402
from playground.drawing import digits, latency, tools  # noqa: E402
from playground.hostile import hostile  # noqa: E402
from playground.processes import Playground, free_address, playground_at, serve_at  # noqa: E402
from playground.restarts import restarts  # noqa: E402
from playground.views import by_keys, camera, looks, upload, watch  # noqa: E402
from proving import expect, prove  # noqa: E402

SHORT = "--short" in sys.argv
ONLY = sys.argv[sys.argv.index("--only") + 1] if "--only" in sys.argv else ""
# Of a picture that is kept.
_MOST_BYTES = 200_000
# A screenshot, what it is called in the documentation, and how much of it is shown, in pixels.
_PICTURES = (
    ("draw-desktop-light", "playground-draw", 950),
    ("camera-desktop-dark", "playground-camera", 950),
    ("upload-desktop-light", "playground-upload", 950),
    ("draw-phone-dark", "playground-phone", 844),
)


def quiet(pages: Pages, playground: Playground) -> str:
    """No request has left the machine and nobody has complained, in all that came before."""
    complaints = [*pages.complaints, *playground.complaints()]
    strangers = [host for host in pages.requests if not host.startswith("127.0.0.1:")]
    asked = sum(pages.requests.values())
    return expect(
        not strangers and not complaints,
        f"{asked} requests, {len(strangers)} to another machine; "
        f"{len(complaints)} errors and warnings in consoles and in the playground's log"
        + "".join(f"; {each}" for each in [*strangers, *complaints]),
    )


def keep_pictures() -> None:
    """Copies the screenshots that the documentation shows, small enough for a repository."""
    for name, kept, height in _PICTURES:
        file = DOCS / f"{kept}.png"
        with Image.open(OUT / f"{name}.png") as shot:
            top = shot.convert("RGB").crop((0, 0, shot.width, min(shot.height, height)))
            top.save(file, optimize=True)
            if file.stat().st_size > _MOST_BYTES:  # a camera's noise: in fewer colours
                top.quantize(256, Image.Quantize.FASTOCTREE).save(file, optimize=True)


def main() -> None:
    """Proves, in one browser on one playground; restarts have theirs."""
    with ExitStack() as open_:
        playwright = open_.enter_context(sync_playwright())
        server = free_address()
        open_.enter_context(serve_at(server))
        playground = open_.enter_context(playground_at(free_address(), server))
        pages = open_.enter_context(browsing(playwright, playground.url))
        promises: dict[str, Callable[[], str]] = {
            "digits by pointer, finger and keyboard": partial(digits, pages),
            "from pointer to bars": partial(latency, pages),
            "undo, clear, wrong on purpose, save": partial(tools, pages),
            "camera": partial(camera, pages),
            "upload": partial(upload, pages),
            "watch": partial(watch, pages, server),
            "keyboard and motion": partial(by_keys, pages),
            "looks and accessibility": partial(looks, pages, SHORT),
            "hostile pages": partial(hostile, pages, playground),
            "nothing leaves the machine, no complaint": partial(quiet, pages, playground),
            "restarts": partial(restarts, playwright),
        }
        chosen = [(name, each) for name, each in promises.items() if ONLY in name]
        try:
            prove(*chosen)
        finally:
            if "--pictures" in sys.argv:
                keep_pictures()


if __name__ == "__main__":
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    main()
