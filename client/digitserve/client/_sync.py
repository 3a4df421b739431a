"""The client for threads."""

from collections.abc import Iterable, Sequence
from functools import partial

import grpc
from grpc_health.v1 import health_pb2

from digitserve.client import _channel, _messages
from digitserve.client._access import Tls, Token, access
from digitserve.client._again import DEFAULT_RETRIES
from digitserve.client._asking import Asking
from digitserve.client._closing import Closing
from digitserve.client._ledger import Ledger
from digitserve.client._models import Models
from digitserve.client._pipeline import Pipeline
from digitserve.client._pixels import Image, Pixels, many_images, one_image
from digitserve.client._stream import Stream
from digitserve.client.types import Delivery, Frame, Health, Prediction


class DigitClient(Closing):
    """Asks a server what the digits are.  Safe to share between threads; close it when done.

    with DigitClient("127.0.0.1:50051") as client:
        print(client.predict(image).digit)

    Attributes:
        models: the versions that the server holds; see `Models`.
    """

    def __init__(
        self,
        address: str | Sequence[str] = _channel.DEFAULT_ADDRESS,
        *,
        timeout: float | None = _channel.DEFAULT_TIMEOUT,
        credentials: grpc.ChannelCredentials | None = None,
        key: str | None = None,
        token: Token | None = None,
        tls: Tls | bool = False,
        token_in_plain_text: bool = False,
        retries: int = DEFAULT_RETRIES,
        round_robin: bool = False,
    ) -> None:
        """Makes a client; connects at the first call.

        Args:
            address: `host:port` or `unix:PATH`, or several: when one is unavailable, the next is
                asked, and streams resume there.
            timeout: seconds for each call but streams; None: no bound.
            credentials: for TLS, as gRPC makes them; None: see `tls`.
            key: what this caller calls itself, in ASCII: one key is always or never among those
                whom a canary answers.  None: nothing.
            token: the bearer token, or what gives it: called for each call, and each time that a
                stream connects, so it should be quick.
            tls: `Tls(ca=…)`, or True for TLS with the authorities that gRPC trusts; False: plain
                text.
            token_in_plain_text: whether the token may be sent without TLS to other machines, where
                whoever listens on the way can take it.
            retries: how often a call that a busy server refused is asked again, within its
                timeout and no sooner than the server says (another server is asked at once).
                0: never; who asked gets `ResourceExhausted`.
            round_robin: whether calls and streams go in turn to all the servers whose addresses the
                name has (`dns:///digits.example:50051`), without those that say that they do not
                serve; False: to the first that can be reached.

        Raises:
            TokenError: if the token is none, or would travel in plain text.
            OSError: if a file of `tls` cannot be read.
        """
        self._timeout = timeout
        self._retries = retries
        names = _channel.names_of(address)
        admitted = access(
            names,
            credentials=credentials,
            tls=tls,
            key=key,
            token=token,
            token_in_plain_text=token_in_plain_text,
        )
        self._connected = partial(_channel.Servers, names, admitted, round_robin=round_robin)
        self._servers = self._connected(grpc)
        self._ask = Asking(self._servers, timeout, retries)
        self.models = Models(self._ask)

    def predict(
        self,
        image: Image,
        *,
        version: int | None = None,
        label: str | None = None,
        brief: bool = False,
        timeout: float | None = None,
    ) -> Prediction:
        """Classifies one image.

        Args:
            image: 28x28 (or 784) uint8, 0 = paper, 255 = ink, or floats 0.0 to 1.0.
            version: the model version that is to answer.
            label: the label of the version that is to answer; with neither, `stable`.
            brief: leave out probabilities and rejection.
            timeout: seconds; None: the client's.

        Raises:
            InvalidImage: if it is no such image; nothing was sent.
            CallError: if the server, or the way to it, says no.
        """
        return self._predict(one_image(image), version, label, brief, timeout)[0]

    def predict_batch(
        self,
        images: Iterable[Image] | Image,
        *,
        version: int | None = None,
        label: str | None = None,
        brief: bool = False,
        timeout: float | None = None,
    ) -> list[Prediction]:
        """Classifies several images in one call: an array [N, 28, 28], or one image after another.

        Takes and raises what `predict` does; one prediction for each, in their order.
        """
        return self._predict(many_images(images), version, label, brief, timeout)

    def stream(
        self,
        frames: Iterable[Frame | Image],
        *,
        version: int | None = None,
        label: str | None = None,
        brief: bool = False,
        delivery: Delivery = Delivery.ORDERED,
        max_in_flight: int = 64,
        max_age: float | None = None,
        timeout: float | None = None,
        resume: float = 30.0,
    ) -> Stream:
        """Classifies frames for as long as `frames` gives them; one outcome for each.

        Args:
            frames: images, or `Frame`s; read in a thread of its own, and no further ahead than
                `max_in_flight` frames without an outcome (but with LATEST, which never waits).
            version: the model version that is to answer.
            label: the label of the version that is to answer; with neither, `stable`.
            brief: leave out probabilities and rejection.
            delivery: in which order outcomes come, and what happens to frames that wait.
            max_in_flight: the most frames sent and unanswered, 1 or more.
            max_age: seconds; a frame older than this when its turn comes is skipped.
            timeout: seconds for each call that carries the stream; None: no bound.
            resume: seconds for which to try again, without progress, when the server drains or the
                connection breaks.  Frames without an outcome are sent again.  0: do not.

        Returns:
            An iterator over outcomes; close it, or use it in a `with`, to leave early.

        Raises:
            ValueError: if `max_in_flight` is below 1.
        """
        options = _messages.stream_options(
            version=version,
            label=label,
            brief=brief,
            delivery=delivery,
            max_in_flight=max_in_flight,
            max_age=max_age,
        )
        return Stream(self._servers, frames, Ledger(options), timeout, resume)

    def pipeline(
        self,
        *,
        version: int | None = None,
        label: str | None = None,
        brief: bool = False,
        timeout: float | None = None,
        resume: float = 30.0,
    ) -> Pipeline:
        """Lets many concurrent `predict` calls of this process travel together, on one stream.

        For callers that are many at once: those that wait when a message may go share it, which
        costs a tenth of a call each; a lone one costs what a unary call does.  Each has its own
        deadline, and nobody's bad image reaches what others share.

        with client.pipeline() as pipeline:
            digits = list(threads.map(pipeline.predict, images))

        Args:
            version: the model version that is to answer.
            label: the label of the version that is to answer; with neither, `stable`.
            brief: leave out probabilities and rejection.
            timeout: seconds for each call; None: the client's.
            resume: seconds for which to try again, without an answer, when the server drains or the
                connection breaks.
        """
        options = _messages.stream_options(version=version, label=label, brief=brief)
        servers = partial(self._connected, grpc.aio)
        return Pipeline(
            servers, options, self._timeout if timeout is None else timeout, resume, self._retries
        )

    def health(self, service: str = "", *, timeout: float | None = None) -> Health:
        """Asks whether the server, or one of its services, is ready.

        Raises:
            CallError: if there is no server, or it knows no such service (NotFound).
        """
        request = health_pb2.HealthCheckRequest(service=service)
        response = self._ask.anyone(lambda server: server.health.Check, request, timeout)
        return Health(response.status)

    def close(self) -> None:
        """Lets go of the connection; what is running is cancelled (a `CallError` says so)."""
        self._servers.close()
        for server in self._servers.all:
            server.channel.close()

    def _predict(
        self,
        pixels: Pixels,
        version: int | None,
        label: str | None,
        brief: bool,
        timeout: float | None,
    ) -> list[Prediction]:
        request = _messages.predict_request(pixels, version, label, brief)
        response = self._ask.anyone(lambda server: server.digits.Predict, request, timeout)
        return _messages.predictions(response)
