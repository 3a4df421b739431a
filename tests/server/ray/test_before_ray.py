"""What Ray is told before a call comes: methods, load, and whom to tell of the end."""

import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from digitserve.server.admission import Admission
from digitserve.server.extras import MissingExtra
from digitserve.server.transport.ray import stopping
from digitserve.server.transport.ray.autoscaling import ByLoad, Load
from digitserve.server.transport.ray.methods import Asked, add_services, bare, methods


class Server:
    """Takes what is registered, as Ray's does."""

    def __init__(self) -> None:
        self.handlers: list[Any] = []

    def add_generic_rpc_handlers(self, handlers: tuple[Any, ...]) -> None:
        self.handlers += handlers

    def found(self, path: str) -> Any:
        """What answers a call."""
        call: Any = SimpleNamespace(method=path, invocation_metadata=())
        return next(filter(None, (each.service(call) for each in self.handlers)), None)


@pytest.fixture
def server() -> Server:
    """One that was told of all services."""
    made = Server()
    add_services(None, made)
    return made


class TestMethods:
    def test_all_are_registered(self, server: Server) -> None:
        """With the kinds that they have."""
        for path, method in methods().items():
            assert server.found(path).response_streaming is (method.unary is None)

    def test_calls_are_tagged_where_they_are_parsed(self, server: Server) -> None:
        """The bytes stay as they are: whether they are a message is for the server to say."""
        path = "/tensorflow.serving.PredictionService/Predict"
        assert server.found(path).request_deserializer(b"\xff") == Asked(path, b"\xff")

    def test_unknown_ones_of_our_services_are_ours_to_answer(self, server: Server) -> None:
        """Those of other services are not."""
        path = "/digitserve.v1.DigitService/No"
        assert server.found(path).request_deserializer(b"") == Asked(path, b"")
        assert server.found("/other.Service/No") is None

    def test_no_two_streams_have_one_name(self) -> None:
        """Nor a stream and a call: their messages are not tagged."""
        streams = [bare(path) for path, method in methods().items() if method.unary is None]
        calls = {bare(path) for path, method in methods().items() if method.unary is not None}
        assert len(streams) == len(set(streams))
        assert not calls & set(streams)


@dataclass
class Told:
    """What Ray tells a policy."""

    aggregated_metrics: Mapping[str, Mapping[Any, float]] | None
    target_num_replicas: int = 2
    config: dict[str, Any] = field(default_factory=dict)


class TestAutoscaling:
    @pytest.mark.parametrize(
        ("images", "busy", "replicas"),
        [
            ([0.0], [0.0], 0),
            ([100.0], [0.5], 1),
            ([100.0, 101.0], [0.1, 0.1], 3),
            ([0.0, 0.0], [0.9, 0.8], 3),
        ],
    )
    def test_goes_by_whichever_asks_for_more(
        self, images: list[float], busy: list[float], replicas: int
    ) -> None:
        """Images that wait, over all replicas; or the event loops' shares of a core."""
        told = Told({"images": dict(enumerate(images)), "busy": dict(enumerate(busy))})
        assert ByLoad(100, 0.7)(told) == (replicas, {})

    @pytest.mark.parametrize("nothing", [None, {}, {"images": {}}])
    def test_changes_nothing_before_anybody_spoke(self, nothing: Any) -> None:
        """Replicas that start have not spoken."""
        assert ByLoad(100, 0.7)(Told(nothing)) == (2, {})

    def test_wants_figures_that_can_be(self) -> None:
        """No replica could have fewer than no images."""
        with pytest.raises(ValueError, match="images_per_replica: expected more than 0, got 0"):
            ByLoad(0, 0.7)

    def test_is_told_what_is_in_and_what_it_took(self) -> None:
        """Idle time is not counted, nor what was told of before."""
        admission = Admission(100, 1)
        clock, works = iter([10.0, 14.0, 16.0]), iter([1.0, 2.0, 3.0])
        load = Load(admission, clock.__next__, works.__next__)
        admission.enter(7)
        assert load.look() == {"images": 7, "busy": 0.25}
        assert load.look() == {"images": 7, "busy": 0.5}


class TestTheEnd:
    def test_is_heard_before_ray_waits(self) -> None:
        """And then Ray goes on as it would."""
        heard: list[str] = []

        class Replica:
            def perform_graceful_shutdown(self) -> str:
                heard.append("Ray")
                return "done"

        assert stopping.listen(Replica, lambda: heard.append("we"))
        assert Replica().perform_graceful_shutdown() == "done"
        assert heard == ["we", "Ray"]

    def test_may_not_be_heard(self) -> None:
        """Of a Ray that has another name for it: that is said, and streams are cut."""
        assert not stopping.listen(SimpleNamespace(), lambda: None)


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The application alone needs it."""
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"pip install 'digitserve\[ray\]'"):
        importlib.import_module("digitserve.server.transport.ray.application")
