"""What is promised of the draw view."""

import base64
import json
import statistics
from typing import Any

from playwright.sync_api import Page

from playground import OUT
from playground.browser import PHONE, Pages, draw, drawn, expect_text, pen, touch
from playground.strokes import STROKES
from proving import expect

_LISTEN = """() => {
  window.answers = [];
  document.addEventListener("digitserve:answer", (event) => window.answers.push(event.detail));
}"""
PARTS = ("browser", "way", "bridge", "server", "paint")


def digits(pages: Pages) -> str:
    """Every digit by mouse, one each by finger, pen and keyboard: all read right."""
    with pages.page() as page:
        for digit in STROKES:
            drawn(page, digit)
        page.click("#clear")
        by_keyboard(page)
        expect_text(page, "#digit", "1")
        expect_text(page, "#draw-live", "1, ")  # read out
    with pages.page(viewport=PHONE, has_touch=True, is_mobile=True) as page:
        touch(page, STROKES[3])
        expect_text(page, "#digit", "3")
        pen(page, STROKES[7])
        expect_text(page, "#digit", "7")
    return "0 to 9 by mouse, 3 by finger, 7 by pen, 1 by keyboard: each read right"


def by_keyboard(page: Page) -> None:
    """Draws a one with the arrow keys."""
    page.focus("#pad")
    page.keyboard.press("Space")
    for _ in range(11):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")


def latency(pages: Pages) -> str:
    """From a pointer's event to bars on the screen: the median, and its parts."""
    with pages.page() as page:
        page.evaluate(_LISTEN)
        for digit in STROKES:
            drawn(page, digit)
        answers: list[dict[str, Any]] = page.evaluate("() => window.answers")
    total = statistics.median(each["total"] for each in answers)
    parts = {part: statistics.median(each["parts"][part] for each in answers) for part in PARTS}
    model = statistics.median(each["said"]["times"]["model_ms"] for each in answers)
    return expect(
        len(answers) > 100,
        f"median of {len(answers)} answers {total:.1f} ms: browser {parts['browser']:.1f}, "
        f"WebSocket {parts['way']:.1f}, bridge {parts['bridge']:.2f}, server {parts['server']:.2f} "
        f"(of it the model {model:.2f}), to the screen {parts['paint']:.1f}",
        bounds=total < 50,
    )


def tools(pages: Pages) -> str:
    """Undo, clear, brush, what is sent wrong on purpose, and what is saved."""
    with pages.page() as page:
        drawn(page, 7)
        page.select_option("#brush", "0.12")
        page.click("#undo")
        expect_text(page, "#verdict[data-state=blank]", "confidence")
        draw(page, STROKES[4])
        page.click("#undo")
        page.click("#clear")
        expect_text(page, "#verdict[data-state=blank]", "confidence")
        drawn(page, 5)
        page.check("#negative")
        expect_text(page, "#rejection", "no digit")
        page.uncheck("#negative")
        expect_text(page, "#verdict[data-state=digit] #digit", "5")
        with page.expect_download() as saved:
            page.click("#save-png")
        png = saved.value.path().read_bytes()
        with page.expect_download() as saved:
            page.click("#save-report")
        report = json.loads(saved.value.path().read_bytes())
    drawing, seen = (
        base64.b64decode(each)
        for each in (report["drawing"]["grey_base64"], report["answer"]["seen"])
    )
    whole = (report["answer"]["digit"], len(drawing), len(seen)) == (5, 140 * 140, 784)
    return expect(
        whole and png.startswith(b"\x89PNG"),
        f"undo, clear, brush; ink for paper is rejected; PNG of {len(png)} bytes, report with the "
        f"pixels and {1 + len(report['answers_before'])} answers",
    )


def screenshots(page: Page, name: str, *, full: bool = True) -> None:
    """Keeps what a page looks like."""
    OUT.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=OUT / f"{name}.png", full_page=full)
