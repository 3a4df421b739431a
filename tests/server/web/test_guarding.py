"""Whose pages may call: what a browser would send, of pages that nobody named."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from digitserve.v1 import digits_pb2, models_pb2
from support.engines import InkEngine, image_of
from support.serving import Serving, serving, versions_of
from support.web import HTTP, ORIGIN, PREDICT, asked, framed, frames, predicted, trailers

UNLOAD = "/digitserve.v1.ModelService/UnloadVersion"
INFER = "/v2/models/digits/infer"
BODY = framed(digits_pb2.PredictRequest(pixels=image_of(3)))
ELSEWHERE = replace(HTTP, http="0.0.0.0:0", plain_text=True)


@pytest.fixture(scope="module", name="up")
def _up() -> Iterator[Serving]:
    """A server on loopback, that names the pages of one other origin."""
    config = replace(HTTP, http_origins=(ORIGIN,), model_control=True)
    with serving(config, versions_of(InkEngine())) as up:
        yield up


@pytest.fixture(scope="module", name="away")
def _away() -> Iterator[Serving]:
    """One that is reached from elsewhere."""
    with serving(ELSEWHERE, versions_of(InkEngine())) as up:
        yield up


def test_a_page_whose_name_was_made_to_point_here_changes_nothing(up: Serving) -> None:
    """To its browser we are of its own origin (DNS rebinding)."""
    port = up.server.http.rpartition(":")[2]
    host = f"evil.example:{port}"
    body = framed(models_pb2.UnloadVersionRequest(version=1))
    response, said = asked(up, UNLOAD, body, host=host, origin=f"http://{host}")
    assert response.status == 403
    assert said.startswith(b"Host: expected")
    assert said.count(b"\n") == 1
    assert asked(up, PREDICT, BODY, host=host)[0].status == 403
    assert predicted(frames(asked(up, PREDICT, BODY)[1])) == [3]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:1", "[::1]:8080", "localhost", "LOCALHOST:8080", "10.0.0.1"]
)
def test_addresses_and_localhost_are_no_names_of_others(up: Serving, host: str) -> None:
    """Nobody can have an address in place of his page's name."""
    response, said = asked(up, PREDICT, BODY, host=host, origin=f"http://{host.lower()}")
    assert (response.status, predicted(frames(said))) == (200, [3])


@pytest.mark.parametrize("host", ["127.0.0.1.example", "[::1", "a@evil.example", "localhost.evil"])
def test_what_only_looks_like_an_address_is_refused(up: Serving, host: str) -> None:
    """As any other name."""
    assert asked(up, PREDICT, BODY, host=host)[0].status == 403


def test_the_name_of_an_origin_that_is_named_is_ours(up: Serving) -> None:
    """A proxy before us passes on how it was called."""
    host = ORIGIN.removeprefix("https://")
    for each in (host, f"{host}:443"):
        response, said = asked(up, PREDICT, BODY, host=each, origin=ORIGIN)
        assert (response.status, predicted(frames(said))) == (200, [3])


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", ""])
def test_a_page_of_another_origin_runs_nothing(up: Serving, away: Serving, origin: str) -> None:
    """Not even by what a browser sends without asking; whoever is no browser goes on."""
    pixels = {"name": "pixels", "datatype": "UINT8", "shape": [1, 784], "data": [0] * 784}
    sent = json.dumps({"inputs": [pixels]}).encode()
    for each in (up, away):
        response, said = asked(each, INFER, sent, "text/plain", origin=origin)
        assert response.status == 403
        assert said.startswith(b"Origin: expected")
        assert asked(each, INFER, sent, "text/plain")[0].status == 200


def test_elsewhere_any_name_may_be_ours(away: Serving) -> None:
    """By which ones callers come we cannot know; a page of that very name is of our origin."""
    own = {"host": "digits.example", "origin": "https://digits.example"}
    for each in ({"host": "digits.example"}, own):
        response, said = asked(away, PREDICT, BODY, **each)
        assert (response.status, trailers(frames(said))) == (200, {"grpc-status": "0"})


def test_a_star_lets_in_everybody() -> None:
    """As it says."""
    with serving(replace(HTTP, http_origins=("*",)), versions_of(InkEngine())) as up:
        response, said = asked(up, PREDICT, BODY, host="a.example", origin="https://b.example")
        assert (response.status, predicted(frames(said))) == (200, [3])
