"""Who watches, as the configuration says."""

from digitserve.server.config import Config
from digitserve.server.extras import MissingExtra
from digitserve.server.observe.logs import CallLog
from digitserve.server.observe.observer import Observer, Teller


def observer_of(config: Config) -> Observer | None:
    """Makes it; None if nobody wants to know.

    Raises:
        MissingExtra: if traces are wanted, and what makes them is not installed.
    """
    tellers: list[Teller] = []
    if config.traces is not None:
        tellers.append(_tracing(config, config.traces))
    if config.log_calls != "none":
        tellers.append(CallLog(everything=config.log_calls == "all"))
    return Observer(tellers) if tellers or config.metrics is not None else None


def _tracing(config: Config, endpoint: str) -> Teller:
    try:
        from digitserve.server.observe.tracing import Tracing, exporting  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtra(f"--traces: {error}; pip install 'digitserve[tracing]'") from error
    return Tracing(exporting(endpoint), config.trace_share, config.trace_frame_share)
