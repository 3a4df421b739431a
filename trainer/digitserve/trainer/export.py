"""The command that makes a bundle of a bare `.keras` file: `python -m digitserve.trainer.export`.

The server starts it as a short-lived process, so that TensorFlow never enters its own.  It
therefore says little: the bundle's path on stdout, or one line on stderr and exit code 2 for
a network that is refused, 1 for anything else.  What it does is told in `conversion.py`.
"""

import sys
from pathlib import Path
from typing import Final

import click

from digitserve.trainer.console import one_line_errors
from digitserve.trainer.errors import ModelError

_REFUSED: Final = 2
_FAILED: Final = 1


@click.command()
@click.argument("keras_file", type=click.Path(path_type=Path))
@click.argument("out_dir", type=click.Path(path_type=Path))
@click.option(
    "--input-range",
    type=click.Choice(["0..1", "0..255"]),
    help="What the network wants its pixels to be.  [default: told by its Rescaling layer]",
)
def command(keras_file: Path, out_dir: Path, input_range: str | None) -> None:
    """Compile the network in KERAS_FILE and write a model bundle to OUT_DIR."""
    with one_line_errors({ModelError: _REFUSED}):
        from digitserve.trainer.conversion import convert  # noqa: PLC0415  (seconds)

        convert(keras_file, out_dir, input_range)
    click.echo(out_dir)


def main() -> None:
    """Run the command; a wrong command line is not a refused network."""
    try:
        command(standalone_mode=False)
    except click.ClickException as wrong:
        click.echo(f"Error: {wrong.format_message()}", err=True)
        sys.exit(_FAILED)
    except click.Abort:
        sys.exit(_FAILED)


if __name__ == "__main__":
    main()
