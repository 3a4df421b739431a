"""ModelInfer, and ModelStreamInfer, which is many of it on one call."""

import time
from collections import defaultdict
from typing import Any

from digitserve.server.adapters.open_inference.messages import MESSAGES, Versions
from digitserve.server.adapters.open_inference.requests import Asked, Requests
from digitserve.server.adapters.open_inference.responses import response
from digitserve.server.adapters.open_inference.statistics import Tally
from digitserve.server.errors import BadField, status_of
from digitserve.server.services import END, GARBAGE, Call, StreamCall
from digitserve.server.services.drain import Drain
from digitserve.server.services.ending import Ending
from digitserve.server.services.predicting import Predicting

# A caller who says so wants the first error as the call's own status, and no more answers.
_STRICT = "triton_grpc_error"
_FINAL = "triton_final_response"


class Infer:
    """Answers requests.

    Attributes:
        tallies: what became of them, by the number of the version.
    """

    def __init__(self, predicting: Predicting, versions: Versions, most: int, drain: Drain) -> None:
        """Takes at most so many images a request; `drain` tells streams to come to their end."""
        self.tallies: defaultdict[int, Tally] = defaultdict(Tally)
        self._predicting, self._versions = predicting, versions
        self._requests, self._drain = Requests(most), drain

    async def unary(self, data: bytes, call: Call) -> bytes:
        """ModelInfer."""
        return await self._answer(self._requests.read(data), call)

    async def stream(self, call: StreamCall) -> None:
        """ModelStreamInfer: an answer for each request, in order; errors are answers too."""
        strict = call.metadata(_STRICT).lower() == "true"
        ending = Ending(call)
        with self._drain.joined(ending):
            while (data := await ending.read()) is not END:
                await call.write(await self._said(data, call, strict=strict))
        ending.check()

    async def _said(self, data: Any, call: StreamCall, *, strict: bool) -> Any:
        request_id = ""
        try:
            if data is GARBAGE:
                raise BadField("", "NOT_A_MESSAGE", "expected a ModelInferRequest")
            request = MESSAGES.parsed(data, "ModelInferRequest")
            request_id = request.id
            answer = await self._answer(self._requests.asked(request), call)
        except Exception as error:
            if strict:
                raise
            said = MESSAGES.ModelStreamInferResponse(error_message=status_of(error).message)
            said.infer_response.id = request_id
            return said
        inferred = MESSAGES.ModelInferResponse.FromString(answer)
        inferred.parameters[_FINAL].bool_param = True
        return MESSAGES.ModelStreamInferResponse(infer_response=inferred)

    async def _answer(self, asked: Asked, call: Call) -> bytes:
        begun = time.monotonic()
        version = self._versions.answering(asked.version, "model_version", call)
        tally = self.tallies[version.number]
        try:
            turn = await self._predicting.predict(asked.images, version, call)
        except Exception:
            tally.failed += 1
            tally.failed_s += time.monotonic() - begun
            raise
        said = response(turn.answer, asked.outputs, version.number, asked.id)
        tally.answered(turn, begun)
        return said
