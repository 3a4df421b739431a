"""Every knob of the server, with its unit, its default and the reason for it.

Filled by the command; nothing else reads flags or the environment.
"""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """How one server runs.

    Attributes:
        addresses: where to listen: `host:port` or `unix:PATH`.  Loopback, because without TLS
            nobody else should be let in by accident.  Port 0 takes a free one.
        models: a folder of bundles named by integers, one bundle, or a `.keras` file.  None: the
            model that ships inside the package.
        metrics: where to serve Prometheus's `/metrics`: `host:port`.  None: nowhere.
        settings: the `models.toml` to go by.  None: the one in the folder of bundles, if any.
        watch_s: seconds between two looks at the folder of bundles.  A look costs a few system
            calls, so new versions need not wait long.
        model_control: whether callers may load, promote, roll back, unload and label versions.
            Off, because without credentials anybody could.
        engine: what runs the network: `litert`, or `tensorflow` for what cannot be compiled.
        input_range: what a bare `.keras` file wants for ink, `0..1` or `0..255`.  None: read from
            its Rescaling layer.
        max_images: images in one message.  1,024 of them fit gRPC's usual 4 MiB as float32.
        max_message_bytes: bytes in one message; gRPC itself refuses what is longer.
        max_in_flight_frames: frames of one stream, accepted and unanswered.  64 keep a 7 µs model
            busy over any network that is fit for a camera.
        max_in_flight_images: the same, in images: 256 are eight turns.
        max_frame_id_bytes: bytes of a frame's name, which is kept while the frame waits.
        max_queue_images: images in the server, over all callers: 16,384 are 13 MB of pixels.
        turn_images: the most images of one engine call, a power of two.  How many it holds is
            measured when a network is loaded; longer turns than 32 would only make others wait.
        turn_ms: milliseconds of one engine call; a slow network gets fewer images in a turn.
        inline_us: microseconds.  A network that takes less for one image runs on the event loop,
            where a hand-over to a thread would cost more than the call.
        engine_threads: threads for a network that takes longer, each with a copy of it, so that
            reading goes on: one for each core, but copies cost memory.
        stream_max_age_s: seconds after which a stream is drained, give or take a tenth, so that
            long streams spread over servers that were added since.
        lame_duck_s: seconds from SIGTERM to the refusal of new calls, so that whoever balances the
            load sees NOT_SERVING first.  SIGINT has none: a person is waiting.
        grace_s: seconds from the signal until a stream that its caller does not half-close is
            ended.
        log_form: how the log is written: `console` lines, or `json`, one object a line.
        log_calls: which calls are a line in it: `none`, `failures` or `all`.  A line costs more
            than the call it tells of.
        traces: where to send OpenTelemetry's traces: a collector's OTLP/HTTP address,
            `http://host:4318`.  None: nowhere.
        trace_share: how much of the calls is traced, 0 to 1, where their caller does not say so
            (`traceparent`).  A hundredth shows where time goes, and costs little.
        trace_frame_share: how much of a traced stream's frames is, 0 to 1: a camera sends millions.
    """

    addresses: tuple[str, ...] = ("127.0.0.1:50051",)
    models: Path | None = None
    metrics: str | None = None
    settings: Path | None = None
    watch_s: float = 1.0
    model_control: bool = False
    engine: str = "litert"
    input_range: str | None = None
    max_images: int = 1024
    max_message_bytes: int = 4 * 1024 * 1024
    max_in_flight_frames: int = 64
    max_in_flight_images: int = 256
    max_frame_id_bytes: int = 256
    max_queue_images: int = 16_384
    turn_images: int = 32
    turn_ms: float = 20.0
    inline_us: float = 250.0
    engine_threads: int = min(4, os.cpu_count() or 1)
    stream_max_age_s: float = 3600.0
    lame_duck_s: float = 5.0
    grace_s: float = 30.0
    log_form: str = "console"
    log_calls: str = "none"
    traces: str | None = None
    trace_share: float = 0.01
    trace_frame_share: float = 0.01
