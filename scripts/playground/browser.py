"""Chromium with a synthetic camera, and pages whose requests and complaints are remembered."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, Playwright, ViewportSize

from digitserve.client.camera import synthetic
from digitserve.client.camera._opencv import cv2
from digitserve.client.camera.digits import drawn_digits
from playground import CI, OUT
from playground.strokes import STROKES, Stroke
from proving import Shortfall

_PACKAGES = ("chromium", "fonts-dejavu-core")
SEED = 7  # of the synthetic camera
DESKTOP: ViewportSize = {"width": 1200, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}
# Of a browser that cannot connect, and says so itself: the page cannot keep it from that.
_NO_CONNECTION = "WebSocket connection to"


def chromium() -> str:
    """Where Debian's Chromium is; in CI it is installed.  Ends the proof if it is not there."""
    if CI and not shutil.which("chromium"):
        for words in (["update"], ["install", "-y", "--no-install-recommends", *_PACKAGES]):
            subprocess.run(["apt-get", "-qq", *words], check=True, stdout=2)
    found = shutil.which("chromium")
    if found is None:
        raise SystemExit(f"needs Debian's {' and '.join(_PACKAGES)}")
    return found


def camera_video() -> Path:
    """Four seconds of the synthetic camera, as motion JPEG."""
    OUT.mkdir(parents=True, exist_ok=True)
    file = OUT / "camera.mjpeg"
    with file.open("wb") as video:
        for picture in islice(synthetic.pictures(SEED, drawn_digits()), 100):
            quality = [cv2.IMWRITE_JPEG_QUALITY, 92]
            video.write(cv2.imencode(".jpg", picture.pixels, quality)[1].tobytes())
    return file


class Pages:
    """Opens pages, and knows what all of them asked for and complained of.

    Attributes:
        requests: hosts that were asked, and how often.
        complaints: what their consoles said.
    """

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        self._url = url
        self.requests: dict[str, int] = {}
        self.complaints: list[str] = []

    @contextmanager
    def page(self, view: str = "draw", **options: Any) -> Iterator[Page]:
        """A page that shows a view."""
        options.setdefault("viewport", DESKTOP)
        context = self._browser.new_context(**options)
        try:
            page = context.new_page()
            context.on("request", lambda request: self._asked(request.url))
            page.on("websocket", lambda opened: self._asked(opened.url))
            page.on("console", lambda said: self._complained(said.type, said.text))
            page.on("pageerror", lambda error: self._complained("error", str(error)))
            page.goto(f"{self._url}#{view}")
            page.locator("#health[data-health=SERVING]").wait_for()
            yield page
        finally:
            context.close()

    def _asked(self, url: str) -> None:
        host = urlsplit(url).netloc
        if not url.startswith(("blob:", "data:")):
            self.requests[host] = self.requests.get(host, 0) + 1

    def _complained(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"} and not text.startswith(_NO_CONNECTION):
            self.complaints.append(text)


@contextmanager
def browsing(playwright: Playwright, url: str) -> Iterator[Pages]:
    """Chromium without a window, with the synthetic camera, that finds no name but this machine."""
    browser = playwright.chromium.launch(
        executable_path=chromium(),
        args=[
            "--no-sandbox",
            "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-video-capture={camera_video()}",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        ],
    )
    try:
        yield Pages(browser, url)
    finally:
        browser.close()


# --- hands ---------------------------------------------------------------------------------------


def places(page: Page, stroke: Stroke) -> list[tuple[float, float]]:
    """A stroke on the page's pad, in pixels of its window."""
    box = page.locator("#pad").bounding_box()
    assert box is not None
    return [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]


def draw(page: Page, strokes: list[Stroke]) -> None:
    """Draws with the mouse, as pointer events of the browser's own."""
    page.click("#clear")
    for stroke in strokes:
        start, *rest = places(page, stroke)
        page.mouse.move(*start)
        page.mouse.down()
        for place in rest:
            page.mouse.move(*place, steps=2)
        page.mouse.up()


def touch(page: Page, strokes: list[Stroke]) -> None:
    """Draws with a finger."""
    page.click("#clear")
    screen = page.context.new_cdp_session(page)

    def event(kind: str, *at: tuple[float, float]) -> None:
        points = [{"x": x, "y": y} for x, y in at]
        screen.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    for stroke in strokes:
        start, *rest = places(page, stroke)
        event("touchStart", start)
        for place in rest:
            event("touchMove", place)
        event("touchEnd")


def pen(page: Page, strokes: list[Stroke]) -> None:
    """Draws with a pen on the screen."""
    page.click("#clear")
    screen = page.context.new_cdp_session(page)

    def event(kind: str, at: tuple[float, float], buttons: int) -> None:
        told = {"type": kind, "x": at[0], "y": at[1], "pointerType": "pen", "buttons": buttons}
        pressed = {"button": "left", "clickCount": 1}
        screen.send("Input.dispatchMouseEvent", told | pressed)

    for stroke in strokes:
        start, *rest = places(page, stroke)
        event("mousePressed", start, 1)
        for place in rest:
            event("mouseMoved", place, 1)
        event("mouseReleased", rest[-1], 0)


def drawn(page: Page, digit: int) -> None:
    """Draws a digit and waits for the answer that is right.

    Raises:
        Shortfall: if none comes.
    """
    draw(page, STROKES[digit])
    expect_text(page, "#verdict[data-state=digit] #digit", str(digit))


def expect_text(page: Page, selector: str, text: str, *, timeout_s: float = 10) -> None:
    """Waits until an element says this.

    Raises:
        Shortfall: if it does not; with what it says.
    """
    element = page.locator(selector, has_text=text)
    try:
        element.first.wait_for(state="attached", timeout=1e3 * timeout_s)
    except Exception as error:
        says = page.locator(selector).all_inner_texts()
        raise Shortfall(f"expected {selector} to say {text!r}, it says {says}") from error
