"""Protocols of other servers, so that their clients can ask this one: a small package for each.

An adapter makes images of its protocol's messages, and its messages of what came of them.  How an
image is run, who may ask and what is counted is the services' business, whoever asks.
"""

from collections.abc import Callable
from typing import NamedTuple

from digitserve.server.admission import Admission
from digitserve.server.config import Config
from digitserve.server.observe.observer import Observer
from digitserve.server.services import Service
from digitserve.server.services.drain import Drain
from digitserve.server.versions.registry import Registry


class Behind(NamedTuple):
    """What is behind every protocol.

    Attributes:
        config: how the server runs.
        registry: its versions.
        drain: what open streams are told by.
        admission: who is let in.
        observer: what sees each turn; None: nobody wants to know.
        models: the ModelService that changes versions.
        ready: whether calls are welcome.
    """

    config: Config
    registry: Registry
    drain: Drain
    admission: Admission
    observer: Observer | None
    models: Service
    ready: Callable[[], bool]
