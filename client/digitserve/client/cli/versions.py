"""How versions are shown: JSON Lines, plain lines, with the extra `cli` in `versions_table`."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

import click

from digitserve.client.cli.output import for_people
from digitserve.client.types import ModelState, ModelVersion, Shadow

#: The columns of `row`, and which of them are numbers.
COLUMNS = (
    "version",
    "state",
    "labels",
    "accuracy",
    "gate accuracy",
    "time an image",
    "images",
    "shadow agreement",
)
NUMBERS = {"version", "accuracy", "gate accuracy", "time an image", "images", "shadow agreement"}
_UNKNOWN = "-"


def show_list(versions: Sequence[ModelVersion], *, as_json: bool) -> None:
    """Prints a line for each version, and below them why some were refused."""
    if as_json:
        for version in versions:
            show_json(version)
        return
    if not versions:
        click.echo("no version is there")
        return
    if for_people():
        try:
            from digitserve.client.cli.versions_table import show_table  # noqa: PLC0415
        except ImportError:  # without the extra `cli`
            pass
        else:
            show_table(versions)
            return
    for line in (*_aligned(versions), *refusals(versions)):
        click.echo(line)


def show_one(version: ModelVersion, *, as_json: bool) -> None:
    """Prints everything known of a version."""
    if as_json:
        show_json(version)
        return
    told = dict(facts(version))
    if for_people():
        try:
            from digitserve.client.cli.versions_table import show_facts  # noqa: PLC0415
        except ImportError:  # without the extra `cli`
            pass
        else:
            show_facts(told)
            return
    width = max(map(len, told))
    for name, fact in told.items():
        click.echo(f"{name:<{width}}  {fact}")


def show_json(version: ModelVersion) -> None:
    """Prints a version as a JSON object on a line."""
    told = asdict(version) | {"state": version.state.name}
    if version.shadow is not None:
        told["shadow"]["agreement"] = version.shadow.agreement
    click.echo(json.dumps(told))


def row(version: ModelVersion) -> list[str]:
    """A version in short, a text for each of `COLUMNS`."""
    return [
        str(version.version),
        version.state.name.lower(),
        _labels(version),
        _share(version.accuracy),
        _share(version.gate_accuracy),
        _time(version.image_time),
        f"{version.images:,}",
        _share(version.shadow.agreement if version.shadow else None),
    ]


def refusals(versions: Sequence[ModelVersion]) -> Iterator[str]:
    """Why versions were refused, a line for each."""
    for version in versions:
        if version.state is ModelState.REFUSED:
            yield f"version {version.version} was refused: {why(version)}"


def why(version: ModelVersion) -> str:
    """Why a version was refused."""
    return _line(version.reason) or "the server gave no reason"


def facts(version: ModelVersion) -> Iterator[tuple[str, str]]:
    """Everything known of a version, in full: names and what there is to say."""
    yield "version", str(version.version)
    yield "state", version.state.name.lower()
    if version.state is ModelState.REFUSED:
        yield "reason", why(version)
    yield "labels", _labels(version)
    yield "description", _line(version.description) or _UNKNOWN
    yield "engine", version.engine or _UNKNOWN
    yield "accuracy", _share(version.accuracy)
    yield "gate accuracy", _share(version.gate_accuracy)
    yield "time an image", _time(version.image_time)
    threshold = version.rejection_threshold
    yield "rejection threshold", _UNKNOWN if threshold is None else f"{threshold:.4f}"
    yield "images", f"{version.images:,}"
    yield "shadow agreement", _agreed(version.shadow)


def _aligned(versions: Sequence[ModelVersion]) -> Iterator[str]:
    rows = [list(COLUMNS), *map(row, versions)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for texts in rows:
        cells = zip(COLUMNS, texts, widths, strict=True)
        yield "  ".join(
            text.rjust(width) if name in NUMBERS else text.ljust(width)
            for name, text, width in cells
        )


def _labels(version: ModelVersion) -> str:
    return ", ".join(version.labels) or _UNKNOWN


def _share(share: float | None) -> str:
    return _UNKNOWN if share is None else f"{share:.2%}"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return _UNKNOWN
    return f"{seconds * 1e6:.1f} µs" if seconds < 1e-3 else f"{seconds * 1e3:.1f} ms"


def _agreed(shadow: Shadow | None) -> str:
    if shadow is None:
        return _UNKNOWN
    return f"{_share(shadow.agreement)} ({shadow.agreed:,} of {shadow.images:,} images)"


def _line(text: str) -> str:
    """What a manifest or a server says, as one line that leaves the terminal alone."""
    return "".join(each if each.isprintable() else "?" for each in " ".join(text.split()))
