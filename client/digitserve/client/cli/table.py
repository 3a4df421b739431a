"""Results for people, with Rich: the digit drawn in the terminal, a bar for each probability."""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.bar import Bar
from rich.color import Color
from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.style import Style
from rich.table import Table
from rich.text import Text

from digitserve.client.cli.output import Answered, line_of, picture_line
from digitserve.client.types import Outcome, Predicted, Prediction

if TYPE_CHECKING:  # needs the extra `camera`
    from digitserve.client.cli.watching import Seen

_SIDE = 28
_SHADES = " .:-=+*#%@"
# From this many images on, a line each says more than pictures.
_MANY = 12
_SURE = 0.9
# Pictures that the live table shows.
_LAST = 12


class Tables:
    """Rich tables on standard output."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._errors = Console(stderr=True, highlight=False)
        self._last: deque[Seen] = deque(maxlen=_LAST)
        self._live: Live | None = None

    def images(self, answered: Sequence[Answered]) -> None:
        """Shows the predictions of some images."""
        if len(answered) > _MANY:
            self._console.print(_compact(answered))
            return
        for image, prediction in answered:
            drawn = drawing(image.pixels, colour=self._console.color_system is not None)
            details = _details(image.name, prediction)
            self._console.print(Columns([drawn, details], padding=(0, 3)))

    def outcome(self, outcome: Outcome) -> None:
        """Shows what became of a frame."""
        style = "" if isinstance(outcome, Predicted) else "red"
        self._console.print(Text(line_of(outcome), style))

    def seen(self, seen: "Seen") -> None:
        """Shows what was read on the last pictures, in a table that stays where it is."""
        self._last.append(seen)
        if self._live is None:
            self._live = Live(console=self._console, refresh_per_second=10)
            self._live.start()
        self._live.update(_pictures(self._last))

    def close(self) -> None:
        """Nothing more comes: the table stays as it is."""
        if self._live is not None:
            self._live.stop()

    def summary(self, line: str) -> None:
        """Says how it all went."""
        self._errors.print(Text(line, "bold"))


def drawing(image: bytes, *, colour: bool) -> Text:
    """Draws 28x28 pixels: two rows a line in greys, or every other row in letters."""
    text = Text()
    for top in range(0, _SIDE, 2):
        for column in range(_SIDE):
            above = image[top * _SIDE + column]
            below = image[(top + 1) * _SIDE + column]
            if colour:
                text.append("▀", Style(color=_grey(above), bgcolor=_grey(below)))
            else:
                text.append(_SHADES[(above + below) * (len(_SHADES) - 1) // 510])
        text.append("\n")
    return text


def _grey(level: int) -> Color:
    return Color.from_rgb(level, level, level)


def _details(name: str, prediction: Prediction) -> RenderableType:
    heading = Text.assemble(
        (f"{prediction.digit}", "bold green" if prediction.confidence >= _SURE else "bold yellow"),
        f"  {prediction.confidence:.2%}   ",
        (name, "dim"),
    )
    rows = Table.grid(padding=(0, 1))
    for digit, probability in enumerate(prediction.probabilities):
        style = "green" if digit == prediction.digit else "blue"
        bar = Bar(1.0, 0, probability, width=24, color=style)
        rows.add_row(str(digit), bar, f"{probability:.4f}")
    parts: list[RenderableType] = [heading, rows]
    if prediction.rejection is not None:
        said = f"rejection {prediction.rejection:.4f}   version {prediction.version}"
        parts.append(Text(said, "dim"))
    return Group(*parts)


def _pictures(last: Iterable["Seen"]) -> Table:
    table = Table("picture", "digits", "latency", box=None, header_style="bold")
    for seen in last:
        line = picture_line(seen).removeprefix(seen.picture.name).strip()
        style = "" if isinstance(seen.outcome, Predicted) else "dim"
        table.add_row(seen.picture.name, Text(line, style), f"{seen.latency * 1e3:.1f} ms")
    return table


def _compact(answered: Sequence[Answered]) -> Table:
    table = Table("image", "digit", "confidence", "version", box=None, header_style="bold")
    for image, said in answered:
        table.add_row(image.name, str(said.digit), f"{said.confidence:.2%}", str(said.version))
    return table
