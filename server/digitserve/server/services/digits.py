"""The DigitService handlers: protobuf on one side, arrays on the other.

Nothing here knows Keras, sockets or flags.  A handler decodes, asks the engine and encodes; which
error becomes which status is decided once, in `statuses.py`.
"""

from digitserve.server import codec, wire
from digitserve.server.admission import Admission
from digitserve.server.config import Config
from digitserve.server.observe.observer import Observer
from digitserve.server.services import Call, Method, Service, StreamCall
from digitserve.server.services.drain import Drain
from digitserve.server.services.predicting import Predicting
from digitserve.server.services.routing import Routing, named
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
    predicting = Predicting(admission, observer)

    async def predict(request: digits_pb2.PredictRequest, call: Call) -> bytes:
        codec.check_detail(request.detail)
        images = codec.decode_images(
            request.pixels, request.count, request.encoding, config.max_images
        )
        version = routing.answering(*named(request), call)
        turn = await predicting.predict(images, version, call)
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
