"""From a page's message to what it is told, over a real WebSocket and a real stream."""

import base64
from itertools import islice

import pytest

from digitserve.client.camera import synthetic
from digitserve.client.camera._opencv import cv2
from digitserve.client.camera.digits import drawn_digits
from digitserve.client.playground.wire import Flags, Kind
from support.command import server_command
from support.playground import SIDE, Playing, message, playing, stroke


def test_a_stroke_becomes_probabilities(playground: Playing) -> None:
    """Ten of them, with the digit, the version and where the time went."""
    with playground.page() as page:
        said = page.ask(message(stroke(), frame=7))
    assert (said["kind"], said["frame"], said["digit"], said["version"]) == ("answer", 7, 1, 1)
    assert len(said["probabilities"]) == 10
    assert sum(said["probabilities"]) == pytest.approx(1, abs=1e-4)
    assert said["times"].keys() == {"bridge_ms", "finder_ms", "server_ms", "wait_ms", "model_ms"}


def test_what_the_model_sees_is_told(playground: Playing) -> None:
    """The very bytes: in the middle, where the stroke was not."""
    with playground.page() as page:
        seen = base64.b64decode(page.ask(message(stroke()))["seen"])
    rows = [seen[28 * row : 28 * row + 28] for row in range(28)]
    assert len(seen) == 784
    assert [row for row in range(28) if any(rows[row])] == list(range(4, 24))
    assert max(rows[14][13:15]) == 255
    assert not any(rows[14][:10])


def test_a_stroke_may_be_sent_wrong_on_purpose(playground: Playing) -> None:
    """Only made smaller, or with ink and paper exchanged."""
    with playground.page() as page:
        small = page.ask(message(stroke(), flags=Flags.UNCENTRED))
        negative = page.ask(message(stroke(), flags=Flags.UNCENTRED | Flags.NEGATIVE))
    seen = base64.b64decode(small["seen"])
    assert seen[28 * 10 + 6] == 255
    assert base64.b64decode(negative["seen"]) == bytes(255 - level for level in seen)


def test_an_empty_pad_is_not_asked_about(playground: Playing) -> None:
    """There is nothing to answer."""
    with playground.page() as page:
        assert page.ask(message(bytes(SIDE * SIDE), frame=3))["kind"] == "blank"


def test_every_message_is_settled_once(playground: Playing) -> None:
    """However fast they come: answered, or skipped for a newer one; the newest is answered."""
    with playground.page() as page:
        for frame in range(1, 101):
            page.socket.send(message(stroke(), frame=frame))
        said = [page.hear("answer", "skipped") for _ in range(100)]
    assert sorted(each["frame"] for each in said) == list(range(1, 101))
    assert next(each for each in said if each["frame"] == 100)["kind"] == "answer"


def test_a_photo_is_read_digit_by_digit(playground: Playing) -> None:
    """Each with its box."""
    picture = next(islice(synthetic.pictures(7, drawn_digits()), 1)).pixels
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    with playground.page() as page:
        said = page.ask(message(grey.tobytes(), kind=Kind.PHOTO, size=(640, 480)))
    assert said["kind"] == "picture"
    assert [each["digit"] for each in said["digits"]] == [8, 4, 1, 2, 1, 5]
    assert all(len(each["box"]) == 4 for each in said["digits"])


def test_a_photo_of_nothing(playground: Playing) -> None:
    """Has no digits, and the server is not asked."""
    with playground.page() as page:
        said = page.ask(message(b"\xc8" * 640 * 480, kind=Kind.PHOTO, size=(640, 480)))
    assert (said["kind"], said["digits"]) == ("picture", [])


def test_a_page_is_told_of_the_server(playground: Playing) -> None:
    """Health, versions and labels; how many pages are open."""
    with playground.page() as page:
        while (said := page.hear("watch"))["streams"] != 1:
            pass  # a page before this one has only just been left
    assert said["health"] == "SERVING"
    assert [(each["version"], each["labels"]) for each in said["versions"]] == [(1, ["stable"])]


def test_a_server_that_is_away_and_comes_back(address: str) -> None:
    """The page is told, stays open, and is answered when there is somebody to."""
    with playing(address) as playground, playground.page() as page:
        page.socket.send(message(stroke()))
        assert page.hear("away")["again_in"] > 0
        with server_command("--address", address):
            while page.hear("watch")["health"] != "SERVING":
                pass
            assert page.ask(message(stroke(), frame=2))["kind"] == "answer"
