"""The command `digitserve`: predict, stream, health."""

import io
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import click

from digitserve.client import Delivery, DigitServeError, Frame, Health
from digitserve.client.cli import exits, output
from digitserve.client.cli.asking import (
    SECONDS,
    VERSION,
    asking,
    json_option,
    only_one_model,
    retries_option,
    server_options,
    streaming_options,
)
from digitserve.client.cli.names import frame_id
from digitserve.client.cli.tally import Tally
from digitserve.client.images import ImageFileError, NamedImage, read_images

# Small enough to show something soon, large enough to cost little.
_BATCH = 100
_IMAGE_BYTES = 28 * 28
# What the contract can say.
_MAX_FRAMES = 2**32 - 1
_VIDEOS = {".avi", ".m4v", ".mjpeg", ".mkv", ".mov", ".mp4", ".mpg", ".webm"}


def _model_options(command: Any) -> Any:
    """What every command that asks a model takes."""
    for option in (
        json_option,
        click.option("--brief", is_flag=True, help="Digit and confidence alone."),
        click.option("--label", metavar="NAME", help="Ask the version with this label."),
        click.option(
            "--model-version", "version", type=VERSION, metavar="N", help="Ask version N."
        ),
    ):
        command = option(command)
    return command


class _Interruptible(click.Group):
    """Ends as `asking` does where a command is interrupted before it asks; Click would say 1."""

    def invoke(self, context: click.Context) -> Any:
        """Runs the command that was named."""
        try:
            return super().invoke(context)
        except KeyboardInterrupt as error:
            exits.leave(error, "")


@click.group(
    cls=_Interruptible, epilog=exits.HELP, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="digitserve")
def digitserve() -> None:
    """Asks a digitserve server what handwritten digits are.

    \b
    digitserve predict photo.png                 any picture, with the extra `cli`
    digitserve predict --json digits.npy         every image of an array
    digitserve stream camera_frames/             a frame for each picture of a folder
    digitserve health                            is it ready?
    digitserve bench --rate 500                  how fast is it?
    digitserve models list                       which versions does it hold?
    digitserve playground                        draw, and see what it says
    """
    # A file's name that the terminal cannot show must not lose the answers.
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="replace")


@digitserve.command(epilog=exits.HELP)
@click.argument("files", nargs=-1, required=True, metavar="FILE…")
@retries_option
@server_options
@_model_options
def predict(
    files: tuple[str, ...],
    address: str,
    timeout: float,
    retries: int,
    as_json: bool,
    **model: Any,
) -> None:
    """Classifies every image of each FILE.

    Reads .npy, .npz, IDX (also gzipped) and 28x28 PGM; with the extra `cli` any picture, which is
    made MNIST-like first: grey, light ink on dark, cut out, centred.

    \b
    digitserve predict 7.png 3.jpg
    digitserve predict --json t10k-images-idx3-ubyte.gz | jq .digit
    """
    only_one_model(model)
    shown = output.printer(as_json)
    with asking(address, timeout, retries) as client:
        images = (image for file in files for image in read_images(file))
        while batch := list(islice(images, _BATCH)):
            got = client.predict_batch([image.pixels for image in batch], **model)
            shown.images(list(zip(batch, got, strict=True)))


@digitserve.command(epilog=exits.HELP)
@click.argument("source", required=False)
@click.option("--demo", is_flag=True, help="The synthetic camera, for trying without hardware.")
@click.option(
    "--find/--no-find",
    default=None,
    help="Look for digits on each picture, or take it for one digit.  "
    "[default: --find for cameras, URLs, videos and --demo]",
)
@click.option(
    "--delivery",
    type=click.Choice([each.name.lower() for each in Delivery]),
    help="[default: latest for cameras and URLs, else ordered]",
)
@click.option(
    "--max-age",
    type=SECONDS,
    metavar="SECONDS",
    help="Skip what is older when its turn comes.",
)
@click.option(
    "--max-in-flight",
    type=click.IntRange(2, _MAX_FRAMES),
    default=64,
    show_default=True,
    help="Frames sent and unanswered.",
)
@click.option("--save", metavar="FILE", help="Write an annotated video.  With --find.")
@click.option(
    "--vote/--no-vote",
    default=None,
    help="Steady the labels from picture to picture.  [default: for cameras, URLs and --demo]",
)
@streaming_options
@_model_options
def stream(
    *,
    source: str | None,
    demo: bool,
    find: bool | None,
    delivery: str | None,
    save: str | None,
    vote: bool | None,
    address: str,
    as_json: bool,
    **options: Any,
) -> None:
    """Sends SOURCE as a stream, a frame for each image, and shows what comes back as it comes.

    SOURCE is a folder of images, a file with many, or - for raw frames of 784 bytes on standard
    input.  With the extra `camera` also a webcam's number, a URL, a video, or a folder of pictures
    with several digits on each (--find).

    \b
    digitserve stream t10k-images-idx3-ubyte.gz
    camera-that-writes-raw-frames | digitserve stream -
    digitserve stream 0 --save desk.mp4
    digitserve stream --demo
    """
    only_one_model(options)
    if source == "" or (source is None) != demo:
        raise click.UsageError("name a SOURCE, or --demo")
    live = source is not None and (source.isdecimal() or "://" in source)
    moving = demo or live or (source is not None and _is_video(source))
    finding = moving if find is None else find
    if demo and not finding:
        raise click.UsageError("--demo has several digits on each picture: leave out --no-find")
    if save and not finding:
        raise click.UsageError("--save goes with --find")
    chosen = Delivery[delivery.upper()] if delivery else _usual_delivery(live)
    shown = output.printer(as_json)
    tally = Tally()
    with asking(address) as client:
        try:
            if finding:
                watch = _camera()
                steadied = demo or live if vote is None else vote
                watch(
                    client,
                    source,
                    shown,
                    tally,
                    delivery=chosen,
                    save=save,
                    vote=steadied,
                    **options,
                )
            else:
                images = _images(str(source))
                frames = (Frame(image.pixels, frame_id=frame_id(image.name)) for image in images)
                for outcome in client.stream(frames, delivery=chosen, **options):
                    tally.count(outcome)
                    shown.outcome(outcome)
        finally:
            shown.close()
            if tally.frames:
                shown.summary(tally.line())
    sys.exit(exits.FAILED if tally.failed else exits.OK)


@digitserve.command(epilog=exits.HELP)
@click.option("--service", default="", help="A service by its full name; default: the server.")
@server_options
def health(service: str, address: str, timeout: float) -> None:
    """Says whether the server is ready: SERVING and exit code 0, or not."""
    with asking(address, timeout) as client:
        status = client.health(service)
    click.echo(status.name)
    sys.exit(exits.OK if status is Health.SERVING else exits.NOT_SERVING)


def _camera() -> Callable[..., None]:
    """What looks for digits on pictures; its packages are an extra's."""
    try:
        from digitserve.client.cli.camera import watch  # noqa: PLC0415
    except ModuleNotFoundError as error:  # OpenCV's absence has a line of its own
        raise DigitServeError(
            "cameras and videos need more than is installed: pip install 'digitserve[camera]'"
        ) from error
    return watch


def _usual_delivery(live: bool) -> Delivery:
    return Delivery.LATEST if live else Delivery.ORDERED


def _is_video(source: str) -> bool:
    return Path(source).suffix.lower() in _VIDEOS


def _images(source: str) -> Iterator[NamedImage]:
    """Every image of a stream's source, as late as possible."""
    if source == "-":
        yield from _raw_frames()
        return
    path = Path(source)
    files: Iterable[Path] = [path]
    if path.is_dir():
        files = sorted(each for each in path.iterdir() if each.is_file())
        if not files:
            raise ImageFileError(source, "an empty folder", "a folder of images")
    for file in files:
        yield from read_images(file)


def _raw_frames() -> Iterator[NamedImage]:
    # Unbuffered: a thread that waits in a buffered read holds its lock when we are interrupted.
    with open(0, "rb", buffering=0, closefd=False) as pipe:
        number = 0
        while frame := _read_whole(pipe, _IMAGE_BYTES):
            if len(frame) != _IMAGE_BYTES:
                came = f"{len(frame)} bytes after frame {number}"
                raise ImageFileError("standard input", came, "784 bytes a frame")
            yield NamedImage(f"-[{number}]", frame)
            number += 1


def _read_whole(pipe: io.RawIOBase, size: int) -> bytes:
    """Reads `size` bytes, or what there is before the end."""
    whole = b""
    while len(whole) < size and (part := pipe.read(size - len(whole))):
        whole += part
    return whole
