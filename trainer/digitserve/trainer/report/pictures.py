"""The report's pictures, as PNG bytes.  Only figures go in; no network, no files.

Matplotlib is used through `Figure`, never `pyplot`: no global state, no display.
"""

import io
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from digitserve.trainer.evaluation import Evaluation
from digitserve.trainer.training import Curves

_DPI = 160
_ROWS, _COLUMNS = 3, 8


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of a picture, and what its file's name ends in."""

    suffix: str
    surface: str
    ink: str
    muted: str
    grid: str
    first: str
    second: str
    right: str
    paper: str
    on_second: str


LIGHT: Final = Theme(
    "",
    "#ffffff",
    "#1c2430",
    "#667085",
    "#e4e7ec",
    "#2563c9",
    "#d9632a",
    "#dfe9f8",
    "#f4f6f9",
    "#ffffff",
)
DARK: Final = Theme(
    "-dark",
    "#161b22",
    "#e6eaf0",
    "#98a2b3",
    "#2b323d",
    "#6ea8ff",
    "#ff9a62",
    "#233a5c",
    "#0b0f14",
    "#161b22",
)


def curves(run: Curves, theme: Theme) -> bytes:
    """Accuracy and loss over the epochs, while training and on the test set."""
    figure = _figure(theme, (10, 3.9))
    shown: tuple[tuple[str, list[float], list[float]], ...] = (
        ("Accuracy", run.accuracy, run.check_accuracy),
        ("Loss", run.loss, run.check_loss),
    )
    for axes, (name, training, test) in zip(figure.subplots(1, 2), shown, strict=True):
        _bare(axes, theme)
        axes.set_title(name, loc="left", color=theme.ink, fontsize=12, fontweight="bold", pad=10)
        axes.plot(run.epoch, training, color=theme.first, lw=1.8, label="training")
        ends = np.arange(1, len(test) + 1)
        axes.plot(
            ends, test, color=theme.second, lw=1.8, marker="o", ms=7, label=run.checked,
            markeredgecolor=theme.surface, markeredgewidth=1.5,
        )  # fmt: skip
        axes.set_xlim(0, len(test) + 0.04 * len(test))
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        axes.set_xlabel("epoch", color=theme.muted)
        axes.grid(axis="y", color=theme.grid, lw=0.8)
        _label_end(axes, test, theme, name)
    figure.axes[0].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    # The very first steps would flatten all that follows: a long run begins above the picture.
    begun = 1 + len(run.epoch) // 20
    low = min(run.accuracy[begun:] + run.check_accuracy)
    figure.axes[0].set_ylim(max(0.0, low - 0.03), 1.005)
    figure.axes[1].set_ylim(0, 1.1 * max(run.loss[begun:] + run.check_loss))
    figure.axes[0].legend(frameon=False, labelcolor=theme.ink, loc="lower right")
    return _png(figure)


def confusion(found: Evaluation, theme: Theme) -> bytes:
    """Which digit is taken for which: mistakes coloured, what is right only counted."""
    figure = _figure(theme, (7.4, 6.6))
    axes = figure.subplots()
    _bare(axes, theme)
    wrong = found.confusion.astype(float)
    np.fill_diagonal(wrong, 0)
    ramp = LinearSegmentedColormap.from_list("mistakes", [theme.surface, theme.second])
    axes.imshow(wrong, cmap=ramp, vmin=0, vmax=max(1.0, wrong.max()))
    for true, said in np.ndindex(10, 10):
        count, right = found.confusion[true, said], true == said
        loud = not right and wrong[true, said] > 0.6 * wrong.max()
        if right:
            axes.add_patch(_cell(true, theme.right))
        if count:
            axes.text(
                said, true, f"{count:,}", ha="center", va="center", fontsize=9,
                color=theme.on_second if loud else theme.ink,
                fontweight="bold" if right or loud else "normal",
            )  # fmt: skip
    axes.set_xticks(range(10))
    axes.set_yticks(range(10))
    axes.set_xlabel("the network says", color=theme.muted, labelpad=8)
    axes.set_ylabel("it is", color=theme.muted, labelpad=8)
    axes.set_xticks(np.arange(-0.5, 10), minor=True)
    axes.set_yticks(np.arange(-0.5, 10), minor=True)
    axes.grid(which="minor", color=theme.grid, lw=0.8)
    return _png(figure)


def mistakes(found: Evaluation, images: NDArray[np.uint8], theme: Theme) -> bytes:
    """The images that were read wrong with the most confidence, the worst first."""
    worst = found.worst(_ROWS * _COLUMNS)
    rows = max(1, -(-len(worst) // _COLUMNS))
    figure = _figure(theme, (10, 0.2 + 1.7 * rows))
    cells: Any = figure.subplots(rows, _COLUMNS, squeeze=False)
    ramp = LinearSegmentedColormap.from_list("ink", [theme.paper, theme.ink])
    for axes in cells.flat:
        axes.set_axis_off()
    for axes, index in zip(cells.flat, worst, strict=False):
        said, true = found.digits[index], found.labels[index]
        axes.imshow(images[index], cmap=ramp, vmin=0, vmax=255, interpolation="nearest")
        axes.set_title(
            f"{true} read as {said}\n{found.probabilities[index, said]:.1%}",
            color=theme.ink, fontsize=9, linespacing=1.35, pad=5,
        )  # fmt: skip
    if not len(worst):
        cells.flat[0].text(0, 0.5, "Not one mistake.", color=theme.ink, fontsize=12)
    return _png(figure)


def _label_end(axes: Axes, test: list[float], theme: Theme, name: str) -> None:
    accuracy = name == "Accuracy"
    axes.annotate(
        f"{test[-1]:.2%}" if accuracy else f"{test[-1]:.3f}",
        (len(test), test[-1]),
        # On the side where the training curve is not: it ends above in accuracy, below in loss.
        xytext=(0, -20 if accuracy else 10),
        textcoords="offset points",
        ha="right",
        color=theme.second,
        fontweight="bold",
    )


def _figure(theme: Theme, size: tuple[float, float]) -> Figure:
    space = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
    return Figure(figsize=size, facecolor=theme.surface, layout=space)


def _bare(axes: Axes, theme: Theme) -> None:
    axes.set_facecolor(theme.surface)
    axes.spines[:].set_visible(False)
    axes.tick_params(which="both", length=0, labelcolor=theme.muted, labelsize=10)


def _cell(index: int, colour: str) -> Rectangle:
    return Rectangle((index - 0.5, index - 0.5), 1, 1, facecolor=colour)


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    # Without the version in it, the same figures give the same bytes.
    figure.savefig(stream, format="png", dpi=_DPI, metadata={"Software": None})
    return stream.getvalue()
