"""The protocol over HTTP/1.1: JSON in place of messages, and the same handlers behind it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from google.rpc import code_pb2
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from digitserve.server.adapters.open_inference.json_tensors import (
    object_of,
    request_of,
    response_of,
    wants_binary,
)
from digitserve.server.adapters.open_inference.messages import message
from digitserve.server.adapters.open_inference.openapi import document
from digitserve.server.errors import BadField, DeadlinePassed
from digitserve.server.services import Method, Service, serialized
from digitserve.server.services.drain import Drain
from digitserve.server.statuses import status_of
from digitserve.server.web.call import Caller, within
from digitserve.server.web.grpc_web import peer_of

# Reading JSON holds up all other callers: a megabyte takes some milliseconds.  Tensors as bytes do
# not count.
_MOST_JSON = 1024 * 1024
_HEADER = "inference-header-content-length"
# Digits of a length; no body's has more, and Python reads no number of thousands.
_DIGITS = 19
_STATUSES = {
    code_pb2.INVALID_ARGUMENT: 400,
    code_pb2.FAILED_PRECONDITION: 400,
    code_pb2.UNAUTHENTICATED: 401,
    code_pb2.PERMISSION_DENIED: 403,
    code_pb2.NOT_FOUND: 404,
    code_pb2.RESOURCE_EXHAUSTED: 429,
    code_pb2.UNIMPLEMENTED: 501,
    code_pb2.UNAVAILABLE: 503,
    code_pb2.DEADLINE_EXCEEDED: 504,
}

Answer = Callable[[Request, "_Called"], Awaitable[Response]]


class TooLong(Exception):
    """A body that is longer than may be; says how long that is."""


class Rest:
    """Answers requests by the methods of the service."""

    def __init__(self, service: Service, drain: Drain, most: int) -> None:
        """Bodies of at most so many bytes; `drain` is told what is running."""
        self._methods, self._drain, self._most = service.methods, drain, most

    @property
    def routes(self) -> list[Route]:
        """What is served, by path."""
        model = "/v2/models/{model}"
        versioned = model + "/versions/{version}"
        get = {
            "/v2": self._server,
            "/v2/health/live": self._live,
            "/v2/health/ready": self._ready,
            **dict.fromkeys((model, versioned), self._model),
            **{f"{path}/ready": self._model_ready for path in (model, versioned)},
        }
        described = Route("/openapi.json", self._openapi, methods=["GET"])
        infer = [
            Route(f"{path}/infer", self._handled(self._infer), methods=["POST"])
            for path in (model, versioned)
        ]
        told = [Route(path, self._handled(answer), methods=["GET"]) for path, answer in get.items()]
        return [described, *infer, *told]

    def _handled(self, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            try:
                with self._drain.running():
                    return await answer(request, _Called(self._methods, request))
            except TimeoutError:
                return _failed(DeadlinePassed())
            except TooLong as error:
                return JSONResponse({"error": str(error)}, 413)
            except ClientDisconnect:
                return Response(status_code=499)  # nobody hears it
            except Exception as error:
                return _failed(error)

        return handle

    async def _live(self, _: Request, called: "_Called") -> Response:
        told = await called.asked("ServerLive")
        return JSONResponse({"live": told.live}, 200 if told.live else 503)

    async def _ready(self, _: Request, called: "_Called") -> Response:
        told = await called.asked("ServerReady")
        return JSONResponse({"ready": told.ready}, 200 if told.ready else 503)

    async def _server(self, _: Request, called: "_Called") -> Response:
        told = await called.asked("ServerMetadata")
        return JSONResponse(
            {"name": told.name, "version": told.version, "extensions": list(told.extensions)}
        )

    async def _model(self, request: Request, called: "_Called") -> Response:
        told = await called.asked("ModelMetadata", **_named(request))
        said = {"name": told.name, "versions": list(told.versions), "platform": told.platform}
        for kind in ("inputs", "outputs"):
            said[kind] = [
                {"name": each.name, "datatype": each.datatype, "shape": list(each.shape)}
                for each in getattr(told, kind)
            ]
        return JSONResponse(said)

    async def _model_ready(self, request: Request, called: "_Called") -> Response:
        named = _named(request)
        told = await called.asked("ModelReady", **named)
        said = {"name": named["name"], "ready": told.ready}
        return JSONResponse(said, 200 if told.ready else 404)

    async def _infer(self, request: Request, called: "_Called") -> Response:
        body = await self._body(request)
        length = _json_length(request.headers.get(_HEADER), len(body))
        if length > _MOST_JSON:
            raise TooLong(f"expected at most {_MOST_JSON} bytes of JSON, got {length}")
        told, named = object_of(body[:length]), _named(request)
        asked = request_of(told, body[length:], named["name"], named["version"])
        overall, each = wants_binary(told)
        said, tensors = response_of(await called.said("ModelInfer", asked), overall, each)
        if not tensors:
            return Response(said, media_type="application/json")
        return Response(
            said + tensors,
            headers={"Inference-Header-Content-Length": str(len(said))},
            media_type="application/octet-stream",
        )

    async def _body(self, request: Request) -> bytes:
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > self._most:
                raise TooLong(f"expected at most {self._most} bytes, got more")
        return bytes(body)

    async def _openapi(self, _: Request) -> Response:
        return JSONResponse(document())


class _Called:
    """The methods of the service, for one request."""

    def __init__(self, methods: Mapping[str, Method], request: Request) -> None:
        self._methods, self._request = methods, request

    async def asked(self, method: str, /, **fields: str) -> Any:
        """What a method says to a request of such fields."""
        said = await self.said(method, message(f"{method}Request")(**fields))
        return message(f"{method}Response").FromString(said)

    async def said(self, method: str, request: Any) -> bytes:
        """The bytes of what a method says to a request."""
        try:
            caller = Caller(self._request.headers, peer_of(self._request.scope))
        except ValueError as error:
            raise BadField("grpc-timeout", "TIMEOUT_INVALID", str(error)) from error
        called = self._methods[method]
        assert called.unary is not None
        # A handler that is watched takes bytes, others a message: what it takes makes it of bytes.
        taken: Any = called.request.FromString(request.SerializeToString())
        return serialized(await within(caller, called.unary(taken, caller)))


def _named(request: Request) -> dict[str, str]:
    path = request.path_params
    return {"name": path["model"], "version": path.get("version", "")}


def _json_length(said: str | None, size: int) -> int:
    if said is None:
        return size
    digits = said.isascii() and said.isdigit() and len(said) <= _DIGITS
    if not (digits and int(said) <= size):
        raise BadField(
            "Inference-Header-Content-Length",
            "HEADER_LENGTH",
            f"expected at most the {size} bytes that came, got {said[:40]!r}",
        )
    return int(said)


def _failed(error: Exception) -> Response:
    status = status_of(error)
    code = _STATUSES.get(status.code, 500)
    headers = {}
    if code in {429, 503}:
        headers["retry-after"] = str(max(1, round(getattr(error, "retry_after_s", 1.0))))
    if code == 401:
        headers["www-authenticate"] = "Bearer"
    return JSONResponse({"error": status.message}, code, headers)
