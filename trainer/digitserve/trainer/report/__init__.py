"""The report of a training run: three pictures and one page that can be mailed.

    <folder>/index.html          everything, pictures inside: one file, no network
             curves.png          how training went
             confusion.png       which digit is taken for which
             mistakes.png        the worst: wrong, and sure of it
             predictions.npz     ten probabilities for each test image, and the rejection if known

Each picture comes light and dark (`curves-dark.png` …); the page shows what the reader's
system prefers.  Each file is replaced whole, so a reader never meets half a report.
"""

import base64
import os
from importlib import resources
from pathlib import Path

import jinja2

from digitserve.trainer.dataset import Dataset
from digitserve.trainer.evaluation import Evaluation
from digitserve.trainer.report.pictures import DARK, LIGHT, Theme, confusion, curves, mistakes
from digitserve.trainer.training import Trained
from digitserve.trainer.trials import Results


def write_report(folder: Path, trained: Trained, data: Dataset, results: Results) -> Path:
    """Write the report into `folder`.

    Returns:
        The path of the page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = results.found
    pictures: dict[str, bytes] = {}
    for theme in (LIGHT, DARK):
        pictures |= _drawn(theme, trained, data, found)
    for name, picture in pictures.items():
        _replace(folder / f"{name}.png", picture)
    _replace(folder / "predictions.npz", found.as_npz())
    page = _page(trained, data, results, pictures)
    _replace(folder / "index.html", page.encode())
    return folder / "index.html"


def _drawn(theme: Theme, trained: Trained, data: Dataset, found: Evaluation) -> dict[str, bytes]:
    return {
        f"curves{theme.suffix}": curves(trained.curves, theme),
        f"confusion{theme.suffix}": confusion(found, theme),
        f"mistakes{theme.suffix}": mistakes(found, data.test_images, theme),
    }


def _page(trained: Trained, data: Dataset, results: Results, pictures: dict[str, bytes]) -> str:
    found = results.found
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = resources.files(__package__).joinpath("page.html.j2").read_text(encoding="utf-8")
    embedded = {
        name: f"data:image/png;base64,{base64.b64encode(picture).decode()}"
        for name, picture in pictures.items()
    }
    shares = found.shares()
    # Bars from 0 to 100 % would all look full: begin at the tens below the least.
    floor = int(10 * min((share for share in shares if share is not None), default=0)) / 10
    floor = min(floor, 0.9)
    return environment.from_string(template).render(
        trained=trained,
        data=data,
        found=found,
        changed=results.changed,
        rejected=results.rejected,
        shares=shares,
        floor=floor,
        scale=lambda share: round(100 * (share - floor) / (1 - floor), 1),
        mean=sum(share.share for share in results.changed.values()) / len(results.changed),
        wrong=int((found.digits != found.labels).sum()),
        packages=trained.packages,
        pictures=embedded,
    )


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
