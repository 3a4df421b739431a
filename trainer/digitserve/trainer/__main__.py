"""The command `digitserve-train`.

TensorFlow is imported once there is something to train, so `--help` answers at once.

Exit codes: 2 the command line, 3 the data, 4 the network, 1 anything else, 130 Ctrl-C.
"""

import sys
from pathlib import Path

import click

from digitserve.trainer import bundle
from digitserve.trainer.console import one_line_errors
from digitserve.trainer.networks import RECIPES

_MODELS = Path("models")
_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
_MAX_SEED = 2**32 - 1  # NumPy's


@click.group()
@click.version_option(package_name="digitserve")
def main() -> None:
    """Train networks that read handwritten digits, and pack them for the server."""


@main.command()
@click.option(
    "--recipe",
    type=click.Choice(list(RECIPES)),
    default="mlp",
    show_default=True,
    help="Which network to train.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="A folder of IDX files, gzipped or not, or an .npz.  [default: Keras's download]",
)
@click.option("--unverified-data", is_flag=True, help="Take data that is not the published MNIST.")
@click.option(
    "--seed",
    type=click.IntRange(0, _MAX_SEED),
    default=0,
    show_default=True,
    help="The same seed trains the same network.",
)
@click.option("--epochs", type=click.IntRange(1), help="[default: the recipe's]")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The bundle's folder, a new one.  [default: the next free number in models/]",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("out/report"),
    show_default=True,
    help="The folder of the report.",
)
@click.option("--no-report", is_flag=True, help="Write no report.")
def fit(
    *,
    recipe: str,
    data: Path | None,
    unverified_data: bool,
    seed: int,
    epochs: int | None,
    out: Path | None,
    report: Path,
    no_report: bool,
) -> None:
    """Train a network and write a model bundle."""
    target = out or _MODELS / str(bundle.next_free(_MODELS))
    if target.exists():
        raise click.BadParameter(
            f"{target} exists; a bundle needs a new folder", param_hint="--out"
        )
    with one_line_errors():
        from digitserve.trainer import dataset  # noqa: PLC0415  (NumPy may not be there)

        images = dataset.load(data, verified=not unverified_data)
        click.echo(
            f"Data       {images.name}: {len(images.train_labels):,} images to train on, "
            f"{len(images.test_labels):,} to test, "
            + ("not verified" if unverified_data else "checksums right")
        )
        from digitserve.trainer import fit as fitting  # noqa: PLC0415  (seconds)

        fitting.fit(
            RECIPES[recipe],
            images,
            seed=seed,
            epochs=epochs,
            target=target,
            report=None if no_report else report,
            say=click.echo,
            # A bar redraws itself; a log wants a line for each epoch.
            verbose=1 if sys.stdout.isatty() else 2,
        )


@main.command()
@click.argument("first", metavar="A", type=_FOLDER)
@click.argument("second", metavar="B", type=_FOLDER)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Ask both about the test images of this MNIST.  [default: 500 drawn digits]",
)
@click.option("--unverified-data", is_flag=True, help="Take data that is not the published MNIST.")
def compare(*, first: Path, second: Path, data: Path | None, unverified_data: bool) -> None:
    """Set the bundles A and B side by side."""
    with one_line_errors():
        from digitserve.trainer import comparison, dataset  # noqa: PLC0415  (NumPy, LiteRT)

        asked = None
        if data is not None:
            images = dataset.load(data, verified=not unverified_data)
            asked = f"{images.name} test", images.test_images, images.test_labels
        rows = [("", str(first), str(second)), *comparison.compare(first, second, asked)]
        label, one, _ = (max(map(len, column)) for column in zip(*rows, strict=True))
        for name, left, right in rows:
            click.echo(f"{name:{label}}  {left:{one}}  {right}".rstrip())


@main.command()
@click.argument("source", metavar="BUNDLE", type=_FOLDER)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
def publish(source: Path, folder: Path) -> None:
    """Copy BUNDLE into DIR as its next version, whole or not at all; print where it is."""
    with one_line_errors():
        from digitserve.trainer.publish import publish as copy  # noqa: PLC0415

        click.echo(copy(source, folder))


if __name__ == "__main__":
    main(prog_name="digitserve-train")
