"""ModelInfer, and what a message of ModelStreamInfer has in common with it."""

import time
from typing import Any, NamedTuple

from digitserve.server.adapters.open_inference import requests
from digitserve.server.adapters.open_inference.answers import Form, asked_of
from digitserve.server.adapters.open_inference.messages import request as request_type
from digitserve.server.adapters.open_inference.parameters import check_parameters
from digitserve.server.adapters.open_inference.statistics import Statistics
from digitserve.server.adapters.open_inference.tensors import (
    Tensor,
    images_in,
    raw_of,
    tensor_of,
)
from digitserve.server.adapters.open_inference.versions import Versions
from digitserve.server.codec import Images
from digitserve.server.errors import BadField
from digitserve.server.services import Call, parsed
from digitserve.server.services.predicting import Predicting
from digitserve.server.turns import Turn
from digitserve.server.versions.version import Version

REQUEST = request_type("ModelInferRequest")


class Question(NamedTuple):
    """What a request asks, whichever pixels it has.

    Attributes:
        model: the name of the model.
        version: how it names the version.
        tensor: what its input is.
        form: how its answer is written.
    """

    model: str
    version: str
    tensor: Tensor
    form: Form


class Inference:
    """Answers requests, from bytes to bytes."""

    def __init__(
        self, versions: Versions, predicting: Predicting, statistics: Statistics, most: int
    ) -> None:
        """Takes requests of at most so many images."""
        self._versions, self._predicting = versions, predicting
        self._statistics, self._most = statistics, most
        self._questions: requests.Kept[Question] = requests.Kept()

    async def infer(self, data: bytes, call: Call) -> bytes:
        """ModelInfer.

        Raises:
            DomainError: if it is wrong, or cannot be answered now.
        """
        response, _ = await self.answered(data, call)
        return response

    async def answered(self, data: bytes, call: Call, more: bytes = b"") -> tuple[bytes, Turn]:
        """The response, as bytes, and the turn that it tells of; `more`: its parameters, as bytes.

        Raises:
            DomainError: if the request is wrong, or cannot be answered now.
        """
        came = time.monotonic()
        question, request_id, version, images = self._read(data, call)
        tally = self._statistics.of(version)
        asked = time.monotonic()
        try:
            turn = await self._predicting.predict(images, version, call)
        except BaseException:
            tally.fail(came)
            raise
        over = time.monotonic()
        response = question.form.written(version.number, request_id, turn.answer, more)
        tally.succeed(len(images), turn, version.turns.images, (came, asked, over))
        return response, turn

    def _read(self, data: bytes, call: Call) -> tuple[Question, bytes, Version, Images]:
        """What is asked, the request's id, who answers, and the images."""
        parts = requests.taken_apart(data)
        question = None if parts is None else self._questions.get(parts.head)
        if parts is None or question is None:
            return self._read_whole(data, parts, call)
        version = self._versions.answering(question.model, question.version, call)
        request_id = parts.request_id
        text = "" if not request_id else _text(request_id)
        return question, request_id, version, images_in(parts.raw, question.tensor, text)

    def _read_whole(
        self, data: bytes, parts: requests.Parts | None, call: Call
    ) -> tuple[Question, bytes, Version, Images]:
        """The same, by protobuf; the question is kept, if it can be told from its answers."""
        request: Any = parsed(data, REQUEST)
        version = self._versions.answering(request.model_name, request.model_version, call)
        check_parameters(request.parameters)
        tensor = tensor_of(request, self._most)
        form = Form(asked_of(request), tensor.count)
        raw = raw_of(request, tensor)
        question = Question(request.model_name, request.model_version, tensor, form)
        if parts is not None:
            self._questions.keep(parts.head, question)
        return question, request.id.encode(), version, images_in(raw, tensor, request.id)


def _text(request_id: bytes) -> str:
    try:
        return request_id.decode()
    except UnicodeDecodeError:
        raise BadField("id", "NOT_A_MESSAGE", "expected UTF-8") from None
