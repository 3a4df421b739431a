"""`digitserve stream` for pictures with digits on them: cameras, videos, `--demo`.

Imported only when it is asked for: needs the extra `camera`.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from typing import Any

from digitserve.client import Delivery, DigitClient
from digitserve.client.camera import synthetic
from digitserve.client.camera.annotate import annotate
from digitserve.client.camera.digits import drawn_digits
from digitserve.client.camera.pictures import Picture
from digitserve.client.camera.sources import open_source
from digitserve.client.camera.video import VideoWriter
from digitserve.client.camera.vote import Vote
from digitserve.client.cli.output import Printer
from digitserve.client.cli.tally import Tally
from digitserve.client.cli.watching import Watching, rate_of

_DEMO_SEED = 7
_DEMO_PICTURES = 100


def watch(
    client: DigitClient,
    source: str | None,
    shown: Printer,
    tally: Tally,
    *,
    delivery: Delivery,
    save: str | None,
    vote: bool,
    **options: Any,
) -> None:
    """Streams the pictures of a source (None: the synthetic camera) and shows what is on them."""
    watching = Watching(_pictures(source), Vote() if vote else None)
    rate = rate_of()
    with ExitStack() as open_:
        video = open_.enter_context(VideoWriter(save, synthetic.RATE)) if save else None
        outcomes = open_.enter_context(
            client.stream(watching.frames(), delivery=delivery, **options)
        )

        def show(seen_now: Iterator[Any]) -> None:
            for seen in seen_now:
                now = rate()
                shown.seen(seen)
                if video is not None:
                    readings = seen.readings or []
                    drawn = annotate(seen.picture.pixels, readings, rate=now, latency=seen.latency)
                    video.write(drawn)

        for outcome in outcomes:
            tally.count(outcome)
            show(watching.settle(outcome))
        show(watching.known())


def _pictures(source: str | None) -> Iterator[Picture]:
    if source is None:
        return islice(synthetic.pictures(_DEMO_SEED, drawn_digits()), _DEMO_PICTURES)
    return open_source(source)
