"""The client for threads."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import grpc
from grpc_health.v1 import health_pb2

from digitserve.client import _channel, _messages
from digitserve.client._access import Tls, Token, access
from digitserve.client._again import DEFAULT_RETRIES
from digitserve.client._asking import Asking
from digitserve.client._closing import Closing
from digitserve.client._ledger import Ledger
from digitserve.client._models import Models
from digitserve.client._patience import Patience
from digitserve.client._pipeline import Pipeline
from digitserve.client._pixels import Image, Pixels, many_images, one_image
from digitserve.client.errors import CallError, unless_expired
from digitserve.client.types import Delivery, Frame, Health, Outcome, Prediction
from digitserve.v1 import digits_pb2


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
    ) -> "Stream":
        """Classifies frames for as long as `frames` gives them; one outcome for each.

        Args:
            frames: images, or `Frame`s; read in a thread of its own, and no further ahead than
                `max_in_flight` frames without an outcome (but with LATEST, which never waits).
            version: the model version that is to answer.
            label: the label of the version that is to answer; with neither, `stable`.
            brief: leave out probabilities and rejection.
            delivery: in which order outcomes come, and what happens to frames that wait.
            max_in_flight: the most frames sent and unanswered.
            max_age: seconds; a frame older than this when its turn comes is skipped.
            timeout: seconds for each call that carries the stream; None: no bound.
            resume: seconds for which to try again, without progress, when the server drains or the
                connection breaks.  Frames without an outcome are sent again.  0: do not.

        Returns:
            An iterator over outcomes; close it, or use it in a `with`, to leave early.
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
        """Lets go of the connection; what is running is cancelled."""
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


class Stream(Closing, Iterator[Outcome]):
    """The outcomes of a stream, in order.

    A thread reads the source into the ledger, gRPC's own thread sends from there, and whoever
    iterates reads.  They meet at one condition.
    """

    def __init__(
        self,
        servers: _channel.Servers,
        frames: Iterable[Frame | Image],
        ledger: Ledger,
        timeout: float | None,
        resume: float,
    ) -> None:
        self._servers = servers
        self._ledger = ledger
        self._timeout = timeout
        self._patience = Patience(resume, servers.count)
        self._changed = threading.Condition()
        self._exhausted = self._closed = False
        self._source_error: BaseException | None = None
        self._call: Any = None
        self._connect()
        threading.Thread(target=self._pump, args=(iter(frames),), daemon=True).start()

    def __next__(self) -> Outcome:
        while not self._closed:
            if self._ledger.superseded:
                return self._ledger.superseded.popleft()
            try:
                response = next(self._call)
            except StopIteration:
                self._resume(None)
            except grpc.RpcError as error:
                self._resume(CallError.from_rpc_error(error))
            else:
                with self._changed:
                    outcome = self._ledger.settle(response)
                    self._changed.notify_all()
                if outcome is not None:
                    self._patience.rested()
                    return outcome
        raise StopIteration

    def close(self) -> None:
        """Leaves the stream; frames without an outcome get none."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._call.cancel()

    def _connect(self) -> None:
        """Opens a call that carries the stream on."""
        with self._changed:
            self._ledger.begin()
            self._turn = object()  # tells the present call's thread from one that is left behind
            requests = self._requests(self._turn)
        self._server = self._servers.now
        self._call = self._server.digits.StreamPredict(requests, timeout=self._timeout)

    def _pump(self, source: Iterator[Frame | Image]) -> None:
        """Reads the source as far ahead as the window allows."""
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._closed or self._ledger.has_room)
                    if self._closed:
                        return
                frame = next(source)
                with self._changed:
                    self._ledger.add(frame)
                    self._changed.notify_all()
        except StopIteration:
            pass
        except BaseException as error:
            self._source_error = error
        with self._changed:
            self._exhausted = True
            self._changed.notify_all()

    def _requests(self, turn: object) -> Iterator[digits_pb2.StreamPredictRequest]:
        """What the call of this turn sends; ends, which half-closes, when it is to send no more."""
        while True:
            with self._changed:
                request = self._ledger.next_request()
                while request is None:
                    over = self._exhausted or self._ledger.draining or self._closed
                    if over or turn is not self._turn:
                        return
                    self._changed.wait()
                    request = self._ledger.next_request() if turn is self._turn else None
            yield request

    def _resume(self, cause: CallError | None) -> None:
        """The call has ended: decides whether another goes on.

        Raises:
            StopIteration: if every frame has its outcome (or what the source raised after them).
        """
        if self._ledger.superseded:
            return  # the call can wait; their reader goes on with these
        if self._ledger.heard:
            cause = unless_expired(cause)
        if cause is None and self._exhausted and self._ledger.settled:
            self.close()
            raise self._source_error or StopIteration
        pause = self._patience.pause(cause)
        if pause is None:
            self.close()
            raise self._ledger.ended(cause)
        with self._changed:
            self._changed.wait_for(lambda: self._closed, pause)
        if not self._closed:
            self._servers.leave(self._server)
            self._connect()
