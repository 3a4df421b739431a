"""What is promised of the camera, the upload, the strip, and of how all of it looks."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Page

from digitserve.client import DigitClient
from digitserve.client.camera import synthetic
from digitserve.client.camera.digits import drawn_digits
from mnist_here import mnist
from playground import OUT, SAMPLES
from playground.browser import DESKTOP, PHONE, SEED, Pages, draw, drawn, expect_text
from playground.drawing import screenshots
from playground.strokes import UNSURE
from proving import Shortfall, expect

_LISTEN = """() => {
  window.pictures = [];
  const keep = (event) => window.pictures.push(event.detail.said);
  document.addEventListener("digitserve:picture", keep);
}"""
_PICTURES = 60


def camera(pages: Pages) -> str:
    """The synthetic camera's digits, over the live picture."""
    truth = sorted(digit.label for digit in synthetic.scene(SEED, drawn_digits()).digits)
    with pages.page("camera") as page:
        page.evaluate(_LISTEN)
        page.click("#camera-start")
        said = seen(page, _PICTURES)
        figures = [page.inner_text(f"#camera-{name}") for name in ("rate", "skipped", "latency")]
        finder = page.inner_text("#camera-finder")
        box = page.locator("#boxes").bounding_box()
        page.click("#camera-start")
    right = sum(sorted(each["digit"] for each in one["digits"]) == truth for one in said)
    return expect(
        box is not None and box["width"] > 300,
        f"{right} of {len(said)} pictures read whole ({len(truth)} digits each); {figures[0]} "
        f"frames a second, {figures[1]} skipped, latency {figures[2]}, of it the finder {finder}",
        bounds=right >= 0.9 * len(said),
    )


def seen(page: Page, least: int) -> list[dict[str, Any]]:
    """What was said of so many pictures.

    Raises:
        Shortfall: if they do not come.
    """
    pictures: list[dict[str, Any]] = []
    for _ in range(60):
        page.wait_for_timeout(500)
        pictures = page.evaluate("() => window.pictures")
        if len(pictures) >= least:
            return pictures
    raise Shortfall(f"{len(pictures)} pictures in 30 s; {page.inner_text('#camera-note')}")


def upload(pages: Pages) -> str:
    """MNIST's test set, with its labels: all of it, the matrix, the worst mistake first."""
    place = mnist()
    files = sorted(place.glob("t10k-*")) if place.is_dir() else [place]
    with pages.page("upload") as page:
        page.set_input_files("#files", files)
        expect_text(page, "#upload-said", "right", timeout_s=60)
        said = page.inner_text("#upload-said")
        first = page.locator("#grid li").first.inner_text().split()
        cells = [int(each) for each in page.locator("#matrix button").all_inner_texts()]
        page.locator("#matrix td.wrong-digit button").first.click()
        expect_text(page, "#grid-count", "were read as")
        page.select_option("#sort", "unsure")
        page.set_input_files("#files", [SAMPLES / "README.md", *SAMPLES.glob("digits/*.png")])
        expect_text(page, "#upload-said", "20 images; no labels")
        expect_text(page, "#upload-errors", "README.md: nothing known")
        drop(page, SAMPLES / "7.pgm")
        expect_text(page, "#upload-said", "1 image; no labels")
    return expect(
        sum(cells) == 10_000 and "is" in first,
        f"{said} First: {' '.join(first)}.  20 pictures and a text file: 20 read, 1 "
        "refused; one picture dropped: read",
    )


def drop(page: Page, file: Path) -> None:
    """Drops a file on the page."""
    content = list(file.read_bytes())
    dropped = page.evaluate_handle(
        """([name, content]) => {
          const dropped = new DataTransfer();
          dropped.items.add(new File([new Uint8Array(content)], name));
          return dropped;
        }""",
        [file.name, content],
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": dropped})


def watch(pages: Pages, server: str) -> str:
    """A promotion is seen at once, and the drawing is answered by the new version."""
    with pages.page() as page, DigitClient(server) as client:
        drawn(page, 2)
        expect_text(page, "#version", "3")
        try:
            client.models.promote(2)
            expect_text(page, "#watch-version", "2 ")
            expect_text(page, "#version", "2")
            page.click("#watch summary")
            log = page.locator("#watch-log li").all_text_contents()
            screenshots(page, "watch-desktop-light", full=False)
        finally:
            client.models.promote(3)
        expect_text(page, "#watch-version", "3 ")
        expect_text(page, "#watch-streams", "1")
    return expect(
        any("version 2 is stable" in line for line in log),
        "promoted 3 to 2 and back: version and labels followed, the drawing was asked again",
    )


# --- looks ---------------------------------------------------------------------------------------


def looks(pages: Pages, short: bool) -> str:
    """Every view, light and dark, on a desk and on a phone: axe finds nothing serious."""
    findings: list[str] = []
    grounds = set()
    kept = 0
    for scheme in ("light", "dark"):
        for name, size in (("desktop", DESKTOP), ("phone", PHONE)):
            if short and (name == "phone") != (scheme == "dark"):
                continue  # each size and each light, once
            with pages.page(color_scheme=scheme, viewport=size, device_scale_factor=1) as page:
                for view in (show_draw, show_camera, show_upload):
                    what = view(page)
                    page.wait_for_timeout(500)  # until nothing moves
                    screenshots(page, f"{what}-{name}-{scheme}")
                    findings += [f"{what} {name} {scheme}: {each}" for each in axe(page)]
                    wide = page.evaluate("() => document.documentElement.scrollWidth")
                    if wide > size["width"]:
                        findings.append(f"{what} {name}: {wide} pixels wide")
                    kept += 1
                grounds.add(page.evaluate("() => getComputedStyle(document.body).backgroundColor"))
    return expect(
        not findings and len(grounds) == 2,
        f"{kept} views light and dark, desk and phone: {len(findings)} serious findings of axe"
        + "".join(f"; {each}" for each in findings)
        + f"; screenshots in {OUT.name}/",
    )


def by_keys(pages: Pages) -> str:
    """Tabs are walked with arrows and keep the keyboard; who wants less motion gets none."""
    with pages.page(reduced_motion="reduce") as page:
        page.focus("#tab-draw")
        walked = []
        for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft", "Home", "End"):
            page.keyboard.press(key)
            walked.append(page.evaluate("() => document.activeElement.id").removeprefix("tab-"))
            shown = page.locator("[role=tabpanel]:visible")
            if shown.get_attribute("id") != f"view-{walked[-1]}":
                raise Shortfall(f"after {key}: {walked[-1]} has the keyboard, another is shown")
        motion = page.evaluate(
            "() => getComputedStyle(document.querySelector('.fill')).transitionDuration"
        )
    return expect(
        walked == ["camera", "upload", "draw", "upload", "draw", "upload"] and motion == "0s",
        f"walked {', '.join(walked)}; bars move in {motion} for who wants less motion",
    )


def axe(page: Page) -> list[str]:
    """What axe finds serious or critical."""
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']} ({each['nodes'][0]['html'][:80]})"
        for each in found
        if each["impact"] in {"serious", "critical"}
    ]


def show_draw(page: Page) -> str:
    """A digit that could be another one."""
    page.click("#tab-draw")
    draw(page, UNSURE)
    return "draw"


def show_camera(page: Page) -> str:
    """While it runs."""
    page.click("#tab-camera")
    page.evaluate(_LISTEN)
    page.click("#camera-start")
    seen(page, 100)
    return "camera"


def show_upload(page: Page) -> str:
    """Digits of ours, bent until some are misread."""
    page.click("#tab-upload")
    with tempfile.TemporaryDirectory() as folder:
        page.set_input_files("#files", bent_digits(Path(folder) / "bent.npz"))
        expect_text(page, "#upload-said", "right")
    return "upload"


def bent_digits(file: Path) -> Path:
    """The fifty drawn digits, each turned and leaned in four ways, with their labels."""
    digits = drawn_digits()
    rng = np.random.default_rng(SEED)
    images, labels = [], []
    for image, label in zip(digits.images, digits.labels, strict=True):
        for turn, lean in zip(rng.normal(0, 32, 4), rng.normal(0, 0.3, 4), strict=True):
            turned = Image.fromarray(image).rotate(float(turn), Image.Resampling.BICUBIC)
            bend = (1, float(lean), -14 * float(lean), 0, 1, 0)
            bent = turned.transform((28, 28), Image.Transform.AFFINE, bend)
            images.append(np.asarray(bent))
            labels.append(label)
    np.savez(file, x_test=np.stack(images), y_test=np.array(labels, np.uint8))
    return file
