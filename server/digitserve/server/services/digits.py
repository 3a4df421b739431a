"""The DigitService handlers: protobuf on one side, arrays on the other.

Nothing here knows Keras, sockets or flags.  A handler decodes, asks the engine and encodes; which
error becomes which status is decided once, in `errors.py`.
"""

import time

from digitserve.server import codec, wire
from digitserve.server.admission import Admission
from digitserve.server.config import Config
from digitserve.server.errors import DeadlinePassed
from digitserve.server.observe.observer import Observer
from digitserve.server.services import Call, Method, Service, StreamCall
from digitserve.server.services.drain import Drain
from digitserve.server.services.known import Known
from digitserve.server.services.routing import Routing
from digitserve.server.services.streams import Stream
from digitserve.server.versions.registry import Registry
from digitserve.v1 import digits_pb2


def digit_service(
    config: Config,
    registry: Registry,
    drain: Drain,
    admission: Admission,
    observer: Observer | None = None,
) -> Service:
    """Makes the service; `observer`, if any, sees what came of each turn and frame."""
    pen = wire.Pen()
    routing = Routing(registry)

    async def predict(request: digits_pb2.PredictRequest, call: Call) -> bytes:
        codec.check_detail(request.detail)
        images = codec.decode_images(
            request.pixels, request.count, request.encoding, config.max_images
        )
        version = routing.resolve(request, canary=routing.takes_canary(request, call))
        deadline = call.deadline()

        def prepare() -> codec.Images:
            if deadline is not None and time.monotonic() >= deadline:
                raise DeadlinePassed
            return images

        count, caller = len(images), call.peer()
        admission.check(count, version.turns.foretold(caller, count), deadline)
        if isinstance(call, Known):
            call.account.charge(count)
        admission.enter(count)
        entered = 0.0 if observer is None else time.monotonic()
        try:
            turn = await version.predict(prepare, caller, count)
        finally:
            admission.leave(count)
        assert turn is not None  # there is always something to do
        if observer is not None:
            observer.predicted(version, turn, count, turn.started - entered)
        return wire.predict_response(pen.records(turn.answer, request.detail), version.number)

    async def stream_predict(call: StreamCall) -> None:
        stream = Stream(call, config, routing, admission, pen, observer=observer)
        with drain.joined(stream):
            await stream.run()

    return Service(
        "digitserve.v1.DigitService",
        {
            "Predict": Method(digits_pb2.PredictRequest, unary=predict, light=True),
            "StreamPredict": Method(digits_pb2.StreamPredictRequest, stream=stream_predict),
        },
    )
