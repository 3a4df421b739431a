"""Files that are dropped on the page: pictures, IDX, .npy, .npz -> what the server reads in them.

The body of the request is the file.  The answer is a line of JSON for each hundred images, as they
are read, and a last one: labels and whether there was more, or what is wrong with the file.
"""

import asyncio
import base64
import json
import tempfile
from collections.abc import AsyncIterator
from itertools import islice
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from digitserve.client import AsyncDigitClient, DigitServeError
from digitserve.client.images import ImageFileError, NamedImage, read_images
from digitserve.client.images.files import IMAGE_BYTES
from digitserve.client.load.labels import labels_in, labels_of

# MNIST's 60,000 training images are 47 MB.
_MAX_BYTES = 64 * 1024 * 1024
# What a page can show: MNIST's test set.
MAX_IMAGES = 10_000
_BATCH = 100
_AT_ONCE = 2
_ARRAYS = {".npy", ".npz"}


class Uploads:
    """Answers POSTed files, two at once.

    Attributes:
        client: who is asked; set when there is an event loop.
    """

    client: AsyncDigitClient

    def __init__(self) -> None:
        self._reading = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, as ASGI has it."""
        if self._reading >= _AT_ONCE:
            busy = f"{_AT_ONCE} other files are being read: try again in a moment"
            await JSONResponse({"error": busy}, 503)(scope, receive, send)
            return
        self._reading += 1
        try:
            request = Request(scope, receive)
            name = Path(request.query_params.get("name", "")).name[:200] or "the file"
            # Only the suffix is the sender's: arrays have their labels beside them by it.
            suffix = Path(name).suffix.lower()
            with tempfile.TemporaryDirectory(prefix="digitserve-") as folder:
                file = Path(folder) / ("file" + (suffix if suffix in _ARRAYS else ""))
                response = await self._response(request, file, name)
                await response(scope, receive, send)
        finally:
            self._reading -= 1

    async def _response(self, request: Request, file: Path, name: str) -> Response:
        with file.open("wb") as written:
            async for part in request.stream():
                if written.tell() + len(part) > _MAX_BYTES:
                    return JSONResponse(
                        {"error": f"{name}: expected at most {_MAX_BYTES >> 20} MB, got more"}, 413
                    )
                written.write(part)
        lines = _lines(self.client, file, name)
        return StreamingResponse(lines, media_type="application/x-ndjson")


async def _lines(client: AsyncDigitClient, file: Path, name: str) -> AsyncIterator[str]:
    """The answer, line by line."""
    try:
        labels = await asyncio.to_thread(_labels_alone, file)
        if labels is not None and max(labels, default=0) > 9:
            yield _line(error=f"{name}: expected labels of 0 to 9, got {max(labels)}")
            return
        if labels is not None:
            yield _line(labels=labels[:MAX_IMAGES], alone=True, count=0, more=False)
            return
        images = islice(read_images(file), MAX_IMAGES + 1)
        count = 0
        while batch := await asyncio.to_thread(lambda: list(islice(images, _BATCH))):
            more = count + len(batch) > MAX_IMAGES
            if batch := batch[: MAX_IMAGES - count]:
                yield await _answered(client, file, name, batch)
            count += len(batch)
            if more:
                break
        else:
            more = False
        labels = await asyncio.to_thread(labels_of, file, count)
        yield _line(labels=labels, alone=False, count=count, more=more)
    except ImageFileError as error:
        yield _line(
            error=f"{name}: {error.came}" + (error.expected and f"; expected {error.expected}")
        )
    except DigitServeError as error:
        yield _line(error=f"{name}: {error}")


async def _answered(
    client: AsyncDigitClient, file: Path, name: str, batch: list[NamedImage]
) -> str:
    said = await client.predict_batch([image.pixels for image in batch])
    return _line(
        names=[image.name.replace(str(file), name) for image in batch],
        pixels=base64.b64encode(b"".join(image.pixels for image in batch)).decode("ascii"),
        digits=[each.digit for each in said],
        confidences=[round(each.confidence, 5) for each in said],
        rejections=[each.rejection for each in said],
        version=said[0].version,
    )


def _labels_alone(file: Path) -> list[int] | None:
    with file.open("rb") as opened:
        content = opened.read(_MAX_BYTES)
    labels = labels_in(content)
    # As many bytes as an image has pixels are one that was saved flat.
    return labels if labels is None or len(labels) != IMAGE_BYTES or not _is_image(file) else None


def _is_image(file: Path) -> bool:
    try:
        return any(True for _ in read_images(file))
    except ImageFileError:
        return False


def _line(**fields: Any) -> str:
    return json.dumps(fields, separators=(",", ":")) + "\n"
