"""ModelInfer, and what a message of ModelStreamInfer has in common with it."""

import time
from typing import Any, NamedTuple

from digitserve.server.adapters.open_inference import words
from digitserve.server.adapters.open_inference.answers import FINAL, Form, asked_of
from digitserve.server.adapters.open_inference.messages import request as request_type
from digitserve.server.adapters.open_inference.model import MODEL
from digitserve.server.adapters.open_inference.parameters import check_parameters
from digitserve.server.adapters.open_inference.requests import Kept, Parts, taken_apart
from digitserve.server.adapters.open_inference.statistics import Statistics
from digitserve.server.adapters.open_inference.tensors import (
    Tensor,
    images_in,
    raw_of,
    tensor_of,
)
from digitserve.server.adapters.open_inference.versions import answering, numbered
from digitserve.server.codec import Images
from digitserve.server.errors import BadField
from digitserve.server.services import Call, parsed
from digitserve.server.services.predicting import Predicting
from digitserve.server.services.routing import Routing
from digitserve.server.services.window import Frame
from digitserve.server.versions.version import Version

REQUEST = request_type("ModelInferRequest")


class Question(NamedTuple):
    """What a request asks, whichever pixels it has.

    Attributes:
        version: how it names the version.
        named: the same, as a number or a label.
        tensor: what its input is.
        form: how its answer is written.
    """

    version: str
    named: tuple[int | None, str | None]
    tensor: Tensor
    form: Form


class Inference:
    """Answers requests, from bytes to bytes."""

    def __init__(
        self, routing: Routing, predicting: Predicting, statistics: Statistics, most: int
    ) -> None:
        """Takes requests of at most so many images."""
        self._routing, self._predict = routing, predicting.predict
        self._tally, self._most = statistics.of, most
        self._questions: Kept[Question] = Kept()

    async def infer(self, data: bytes, call: Call, frame: Frame | None = None) -> bytes:
        """ModelInfer.

        Args:
            data: a ModelInferRequest.
            call: whose it is.
            frame: what it is in a stream; is told the turn.

        Returns:
            A ModelInferResponse; in a stream one that says that it is the only one.

        Raises:
            DomainError: if it is wrong, or cannot be answered now.
        """
        came = time.monotonic()
        question, request_id, version, images = self._read(data, call)
        tally = self._tally(version)
        asked = time.monotonic()
        try:
            turn = await self._predict(images, version, call)
        except BaseException:
            tally.fail(came)
            raise
        over = time.monotonic()
        more = b""
        if frame is not None:
            frame.cause, more = turn, FINAL
        response = question.form.written(version.number, request_id, turn.answer, more)
        tally.succeed(len(images), turn, version.turns.images, (came, asked, over))
        return response

    def _read(self, data: bytes, call: Call) -> tuple[Question, bytes, Version, Images]:
        """What is asked, the request's id, who answers, and the images."""
        known = self._questions.of(data)
        if known is not None:
            question, request_id, raw = known
            version = answering(self._routing, question.named, question.version, call)
            images = images_in(raw, question.tensor, _text(request_id))
            return question, request_id, version, images
        parts = taken_apart(data)
        asked = None if parts is None else self._questions.of_head(data, parts)
        if parts is None or asked is None:
            return self._read_whole(data, parts, call)
        version = answering(self._routing, asked.named, asked.version, call)
        images = images_in(parts.raw, asked.tensor, _text(parts.request_id))
        return asked, parts.request_id, version, images

    def _read_whole(
        self, data: bytes, parts: Parts | None, call: Call
    ) -> tuple[Question, bytes, Version, Images]:
        """The same, by protobuf; the question is kept, if it can be told from its answers."""
        request: Any = parsed(data, REQUEST)
        if request.model_name != MODEL:
            raise words.unknown_model(request.model_name)
        named = numbered(request.model_version)
        version = answering(self._routing, named, request.model_version, call)
        check_parameters(request.parameters)
        tensor = tensor_of(request, self._most)
        form = Form(asked_of(request), tensor.count)
        images = images_in(raw_of(request, tensor), tensor, request.id)
        question = Question(request.model_version, named, tensor, form)
        if parts is not None:
            self._questions.keep(data, parts, question)
        return question, request.id.encode(), version, images


def _text(request_id: bytes) -> str:
    if not request_id:
        return ""
    try:
        return request_id.decode()
    except UnicodeDecodeError:
        raise BadField("id", "NOT_A_MESSAGE", "expected UTF-8") from None
