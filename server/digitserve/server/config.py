"""Every knob of the server, with its unit, its range, its default and the reason for it.

Filled by `sources`, from a file, variables and flags; nothing else reads those.  A new field is
a line here, a paragraph of the docstring and a row in `docs/configure.md`.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from digitserve.server.addresses import is_local
from digitserve.server.codec import PIXELS
from digitserve.server.engines import ENGINES
from digitserve.server.knobs import Flag, knobs_of
from digitserve.server.rules import (
    Address,
    FileMode,
    Many,
    Number,
    OneOf,
    Origin,
    Processes,
    Switch,
    There,
    Unfit,
    Whole,
    Words,
)

_DAY_S = 86_400
_YEAR_S = 365 * _DAY_S
_MOST_WORKERS = 256
_UNIX = "unix:"


class ConfigError(ValueError):
    """A configuration that cannot be; says in one line where, what was expected and what came."""


class ContradictionError(ConfigError):
    """Values that cannot be together.

    Attributes:
        names: of their fields.
    """

    def __init__(self, names: tuple[str, ...], why: str) -> None:
        super().__init__(why)
        self.names = names


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """How one server runs.

    Attributes:
        addresses: where to listen: `host:port` (port 0: a free one) or `unix:PATH`.  Loopback,
            because without TLS nobody else should be let in by accident.
        workers: processes that serve, watched over by one more; `auto`: one on each core.  One is
            this process alone, which costs nothing more.
        models: a folder of bundles 1, 2, …, one bundle, or a `.keras` file.  None: the models that
            ship inside the package.
        metrics: where to serve Prometheus's `/metrics`; needs the extra `metrics`.  None: nowhere.
        http: where to serve HTTP/1.1 too, for browsers (gRPC-Web) and REST; needs the extra
            `http`.  None: nowhere.
        http_origins: of whose pages browsers may call there, as in `https://example.org`; `*`:
            anybody's.  None: pages of the same origin.
        settings: which versions, labels and gates: the `models.toml` to go by.  None: the one in
            the folder of bundles, if any.
        watch_s: seconds between two looks at the folder of bundles; 0: no second look.  A look
            costs a few system calls, so new versions need not wait long.
        model_control: whether callers may load, promote, roll back, unload and label versions.
            Off, because without credentials anybody could.
        engine: what runs the network: `litert`, or `tensorflow` for what cannot be compiled.
        input_range: what a bare `.keras` file without a Rescaling layer wants for ink.  None: as
            its Rescaling layer says.
        max_images: images in one message.  1,024 of them fit gRPC's usual 4 MiB as float32.
        max_message_bytes: bytes in one message, compressed or not.
        max_in_flight_frames: frames of one stream, accepted and unanswered.  64 keep a 7 µs model
            busy over any network that is fit for a camera.
        max_in_flight_images: images of one stream, accepted and unanswered.  256 are eight turns.
        max_frame_id_bytes: bytes of a frame's name, which is kept while the frame waits.
        max_queue_images: images in the server, over all callers.  16,384 are 13 MB of pixels.
        max_wait_s: seconds that a unary call may have to wait for its turn; one that would wait
            longer, or past its deadline, is refused at once.  Half of what interactive callers
            usually give a call: after a longer wait the answer is often not wanted any more.
        turn_images: the most images of one engine call, a power of two.  How many it holds is
            measured when a network is loaded; longer turns than 32 would only make others wait.
        turn_ms: milliseconds of one engine call; a slow network gets fewer images in a turn.
        inline_us: microseconds for one image, below which a network runs on the event loop.  There
            a hand-over to a thread would cost more than the call.
        engine_threads: threads for a network that takes longer, each with a copy of it, so that
            reading goes on.  One for each core up to four, because copies cost memory.
        stream_max_age_s: seconds after which a stream is drained, give or take a tenth.  So long
            streams spread over servers that were added since.
        connection_max_age_s: seconds after which a client is told to connect anew, give or take a
            tenth, while what it has asked goes on.  Who balances by itself looks its server's name
            up then, and finds those that were added since.
        lame_duck_s: seconds from SIGTERM to the refusal of new calls.  Whoever balances the load is
            to see NOT_SERVING first.  SIGINT has none: a person is waiting.
        grace_s: seconds from the signal until a stream that its caller does not half-close is
            ended.
        tokens: the file of bearer tokens, certificates' names and limits.  With it, or with
            `jwks`, callers need a credential.  None: no tokens.
        jwks: the file of the keys that sign JWTs; read again when it changes.  None: no JWTs.
        jwt_issuer: who makes the JWTs (their `iss`).
        jwt_audience: whom they are made for (their `aud`).
        credential_grace_s: seconds from the notice that a stream's credential does not hold any
            more until the stream is ended.  Short: whoever was locked out is to be out.
        tls_cert: the server's certificate chain, PEM.  With it, and `tls_key`, TLS alone is
            spoken but at Unix sockets; both are read again when they change.  None: plain text.
        tls_key: its private key, PEM.
        tls_client_ca: who vouches for callers' certificates, PEM.  None: none is asked for.
        tls_client_required: whether a caller without a certificate is turned away; else it may
            show a token instead.
        plain_text: whether callers from elsewhere may speak plain text.  Off: without TLS only
            loopback addresses and Unix sockets are listened at.
        socket_mode: the file mode of Unix sockets, in octal: who may connect.
        reflection: whether the server tells its contract to who asks; off, that service is not
            there.
        open_inference: whether clients of the Open Inference Protocol (Triton's, KServe's) may ask
            as well, on the same port.  On, because it costs nothing until one does.
        tensorflow_serving: whether TensorFlow Serving's callers are answered too, at the same
            addresses: `PredictionService` and `ModelService/GetModelStatus`.  What it needs is not
            read before the first of them comes.
        log_form: how the log is written: `console` lines, or `json`, one object a line.
        log_calls: which calls are a line in it: `none`, `failures` or `all`.  A line costs more
            than the call it tells of.
        traces: where to send OpenTelemetry's traces: a collector's OTLP/HTTP address,
            `http://host:4318`; needs the extra `tracing`.  None: nowhere.
        trace_share: how much of the calls is traced, 0 to 1, where their caller does not say so
            (`traceparent`).  A hundredth shows where time goes, and costs little.
        trace_frame_share: how much of a traced stream's frames is, 0 to 1: a camera sends millions.
    """

    addresses: Annotated[tuple[str, ...], Many(Address()), Flag("--address")] = ("127.0.0.1:50051",)
    workers: Annotated[int, Processes(_MOST_WORKERS), Flag("--workers")] = 1
    models: Annotated[Path | None, There(), Flag("--models")] = None
    metrics: Annotated[str | None, Address(unix=False), Flag("--metrics")] = None
    http: Annotated[str | None, Address(unix=False), Flag("--http")] = None
    http_origins: Annotated[tuple[str, ...] | None, Many(Origin())] = None
    settings: Annotated[Path | None, There(folders=False), Flag("--settings")] = None
    watch_s: Annotated[float, Number(0, _DAY_S, "seconds")] = 1.0
    model_control: Annotated[bool, Switch(), Flag("--model-control")] = False
    engine: Annotated[str, OneOf(*ENGINES), Flag("--engine")] = "litert"
    input_range: Annotated[str | None, OneOf("0..1", "0..255"), Flag("--input-range")] = None
    max_images: Annotated[int, Whole(1, 65_536, "images")] = 1024
    max_message_bytes: Annotated[int, Whole(1024, 2**31 - 1, "bytes")] = 4 * 1024 * 1024
    max_in_flight_frames: Annotated[int, Whole(1, 65_536, "frames")] = 64
    max_in_flight_images: Annotated[int, Whole(1, 1_048_576, "images")] = 256
    max_frame_id_bytes: Annotated[int, Whole(0, 65_536, "bytes")] = 256
    max_queue_images: Annotated[int, Whole(1, 16_777_216, "images")] = 16_384
    max_wait_s: Annotated[float, Number(0.001, _DAY_S, "seconds")] = 0.5
    turn_images: Annotated[int, Whole(1, 1024, "images", power_of_two=True)] = 32
    turn_ms: Annotated[float, Number(0.001, 60_000, "milliseconds")] = 20.0
    inline_us: Annotated[float, Number(0, 1_000_000, "microseconds")] = 250.0
    engine_threads: Annotated[int, Whole(1, 256, "threads")] = min(4, os.cpu_count() or 1)
    stream_max_age_s: Annotated[float, Number(0.01, _YEAR_S, "seconds")] = 3600.0
    connection_max_age_s: Annotated[float, Number(0.01, _YEAR_S, "seconds")] = 3600.0
    lame_duck_s: Annotated[float, Number(0, _DAY_S, "seconds"), Flag("--lame-duck")] = 5.0
    grace_s: Annotated[float, Number(0, _DAY_S, "seconds"), Flag("--grace")] = 30.0
    tokens: Annotated[Path | None, There(folders=False), Flag("--tokens")] = None
    jwks: Annotated[Path | None, There(folders=False), Flag("--jwks")] = None
    jwt_issuer: Annotated[str | None, Words()] = None
    jwt_audience: Annotated[str | None, Words()] = None
    credential_grace_s: Annotated[float, Number(0, _DAY_S, "seconds")] = 5.0
    tls_cert: Annotated[Path | None, There(folders=False), Flag("--tls-cert")] = None
    tls_key: Annotated[Path | None, There(folders=False, secret=True), Flag("--tls-key")] = None
    tls_client_ca: Annotated[Path | None, There(folders=False), Flag("--tls-client-ca")] = None
    tls_client_required: Annotated[bool, Switch()] = True
    plain_text: Annotated[bool, Switch(), Flag("--plain-text")] = False
    socket_mode: Annotated[str, FileMode()] = "0666"
    reflection: Annotated[bool, Switch()] = True
    open_inference: Annotated[bool, Switch()] = True
    tensorflow_serving: Annotated[bool, Switch()] = True
    log_form: Annotated[str, OneOf("console", "json"), Flag("--log-form")] = "console"
    log_calls: Annotated[str, OneOf("none", "failures", "all"), Flag("--log-calls")] = "none"
    traces: Annotated[str | None, Words(), Flag("--traces")] = None
    trace_share: Annotated[float, Number(0, 1, "of the calls")] = 0.01
    trace_frame_share: Annotated[float, Number(0, 1, "of the frames")] = 0.01

    def __post_init__(self) -> None:
        for name, knob in KNOBS.items():
            try:
                knob.check(getattr(self, name))
            except Unfit as unfit:
                raise ConfigError(f"{name}: {unfit}") from unfit
        for contradiction in _contradictions(self):
            raise contradiction


KNOBS = knobs_of(Config)


def _contradictions(config: Config) -> Iterator[ContradictionError]:
    needed = config.max_images * PIXELS
    if config.max_message_bytes < needed:
        yield ContradictionError(
            ("max_images", "max_message_bytes"),
            f"max_message_bytes: expected {needed} or more, for max_images of {PIXELS} bytes, "
            f"got {config.max_message_bytes}",
        )
    yield from _address_contradictions(config)
    if (config.tls_cert is None) != (config.tls_key is None):
        yield ContradictionError(
            ("tls_cert", "tls_key"), "tls_cert: expected it together with tls_key, got one of them"
        )
    if config.tls_cert is None and config.tls_client_ca is not None:
        yield ContradictionError(
            ("tls_client_ca", "tls_cert"),
            "tls_client_ca: expected tls_cert too: only TLS carries callers' certificates",
        )
    if config.input_range is not None and config.models is None:
        yield ContradictionError(
            ("input_range", "models"),
            "input_range: expected models to name a .keras file, got the bundled models",
        )


def _address_contradictions(config: Config) -> Iterator[ContradictionError]:
    taken = [each for each in config.addresses if not each.endswith(":0")]
    for address in taken:
        if taken.count(address) > 1:
            yield ContradictionError(
                ("addresses",), f"addresses: expected each once, got {address!r} again"
            )
    for name in ("metrics", "http"):
        if (other := getattr(config, name)) in taken:
            yield ContradictionError(
                ("addresses", name),
                f"{name}: expected another address than the server's, got {other!r}",
            )
    for address in config.addresses:
        if config.workers > 1 and address.startswith(_UNIX):
            yield ContradictionError(
                ("addresses", "workers"),
                f"addresses: expected host:port alone for {config.workers} workers, since a Unix "
                f"socket belongs to one process, got {address!r}",
            )
    if config.tls_cert is None and not config.plain_text:
        reached = [("addresses", each) for each in config.addresses]
        if config.http is not None:
            reached.append(("http", config.http))
        for name, address in ((name, each) for name, each in reached if not is_local(each)):
            yield ContradictionError(
                (name, "plain_text"),
                f"{name}: expected a loopback address or a Unix socket, since there is no "
                f"tls_cert, got {address!r}; plain_text lets callers from elsewhere in unencrypted",
            )
