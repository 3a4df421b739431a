"""How results are shown: JSON Lines for programs, plain lines, or Rich tables for people."""

import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

import click

from digitserve.client.images import NamedImage
from digitserve.client.types import Failed, Outcome, Predicted, Prediction, Skipped

if TYPE_CHECKING:  # needs the extra `camera`
    from digitserve.client.cli.watching import Seen

Answered: TypeAlias = tuple[NamedImage, Prediction]


class Printer(Protocol):
    """Shows results as they come."""

    def images(self, answered: Sequence[Answered]) -> None:
        """Shows the predictions of some images."""
        ...

    def outcome(self, outcome: Outcome) -> None:
        """Shows what became of a frame."""
        ...

    def seen(self, seen: "Seen") -> None:
        """Shows what was read on a picture."""
        ...

    def close(self) -> None:
        """Nothing more comes."""
        ...

    def summary(self, line: str) -> None:
        """Says how it all went; not part of the results."""
        ...


class JsonLines:
    """One JSON object a line."""

    def images(self, answered: Sequence[Answered]) -> None:
        """Shows the predictions of some images."""
        for image, prediction in answered:
            click.echo(json.dumps({"name": image.name} | _as_dict(prediction)))

    def outcome(self, outcome: Outcome) -> None:
        """Shows what became of a frame."""
        shown: dict[str, object] = {"sequence": outcome.sequence, "name": outcome.frame_id}
        match outcome:
            case Predicted():
                (prediction,) = outcome.predictions
                shown |= _as_dict(prediction)
                shown |= {"wait": outcome.wait, "model": outcome.model}
            case Failed(error=error):
                shown["failed"] = {
                    "code": error.code.name,
                    "reason": error.reason,
                    "message": error.message,
                }
            case Skipped(reason=reason):
                shown["skipped"] = reason.name
        click.echo(json.dumps(shown))

    def seen(self, seen: "Seen") -> None:
        """Shows what was read on a picture."""
        shown: dict[str, object] = {"name": seen.picture.name, "time": seen.picture.time}
        if isinstance(seen.outcome, Failed | Skipped):
            shown["failed" if isinstance(seen.outcome, Failed) else "skipped"] = _why(seen.outcome)
        shown["latency"] = seen.latency
        shown["digits"] = [
            {
                "box": list(each.box),
                "digit": each.digit,
                "confidence": each.confidence,
                "track": each.track,
            }
            for each in seen.readings or []
        ]
        click.echo(json.dumps(shown))

    def close(self) -> None:
        """Nothing more comes."""

    def summary(self, line: str) -> None:
        """Says how it all went."""
        click.echo(line, err=True)


class Plain:
    """One line an image: its name, the digit, the confidence."""

    def images(self, answered: Sequence[Answered]) -> None:
        """Shows the predictions of some images."""
        for image, prediction in answered:
            click.echo(f"{image.name} {prediction.digit} {prediction.confidence:.4f}")

    def outcome(self, outcome: Outcome) -> None:
        """Shows what became of a frame."""
        click.echo(line_of(outcome))

    def seen(self, seen: "Seen") -> None:
        """Shows what was read on a picture."""
        click.echo(picture_line(seen))

    def close(self) -> None:
        """Nothing more comes."""

    def summary(self, line: str) -> None:
        """Says how it all went."""
        click.echo(line, err=True)


def picture_line(seen: "Seen") -> str:
    """What was read on a picture, in a line, from left to right."""
    if isinstance(seen.outcome, Failed | Skipped):
        return f"{seen.picture.name} {_why(seen.outcome)}"
    read = " ".join(str(each.digit) for each in sorted(seen.readings or [], key=lambda r: r.box.x))
    return f"{seen.picture.name} {read or 'no digit'}"


def _why(outcome: Failed | Skipped) -> str:
    return str(outcome.error) if isinstance(outcome, Failed) else outcome.reason.name.lower()


def line_of(outcome: Outcome) -> str:
    """An outcome in a line."""
    name = outcome.frame_id or f"#{outcome.sequence}"
    match outcome:
        case Predicted():
            (prediction,) = outcome.predictions
            return f"{name} {prediction.digit} {prediction.confidence:.4f}"
        case Failed(error=error):
            return f"{name} failed: {error}"
        case Skipped(reason=reason):
            return f"{name} skipped: {reason.name.lower()}"


def for_people() -> bool:
    """Whether a person is looking: colours and tables are of use."""
    return sys.stdout.isatty() or "FORCE_COLOR" in os.environ


def printer(as_json: bool) -> Printer:
    """The printer that fits: Rich where it is installed and a person is looking."""
    if as_json:
        return JsonLines()
    if for_people():
        try:
            from digitserve.client.cli.table import Tables  # noqa: PLC0415
        except ImportError:  # without the extra `cli`
            return Plain()
        return Tables()
    return Plain()


def _as_dict(prediction: Prediction) -> dict[str, object]:
    shown: dict[str, object] = {
        "digit": prediction.digit,
        "confidence": prediction.confidence,
        "version": prediction.version,
    }
    if prediction.probabilities:
        shown |= {
            "probabilities": prediction.probabilities,
            "rejection": prediction.rejection,
        }
    return shown
