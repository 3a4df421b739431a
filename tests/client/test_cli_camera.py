"""`digitserve stream` for pictures with digits on them: what was seen on each, in order."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from digitserve.client.cli import main
from support.serving import Serving

cv2 = pytest.importorskip("cv2", reason="cameras need the extra `camera`")


def run(*arguments: str, address: str) -> Result:
    """Runs `digitserve stream` in this process."""
    return CliRunner().invoke(main, ["stream", *arguments, "--address", address])


def test_the_demo_tells_what_is_on_every_picture(serving: Serving) -> None:
    """Boxes, digits, confidences and tracks, in the order of the pictures."""
    result = run("--demo", "--json", address=serving.address)
    pictures = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 0
    assert [picture["name"] for picture in pictures] == [f"synthetic:7[{at}]" for at in range(100)]
    assert all(picture["digits"] for picture in pictures)
    first = pictures[0]["digits"][0]
    assert set(first) == {"box", "digit", "confidence", "track"}
    assert "100 frames: 100 predicted, 0 failed, 0 skipped" in result.stderr


def test_what_was_seen_can_be_saved(serving: Serving, tmp_path: Path) -> None:
    """As a video, with a picture for each."""
    path = str(tmp_path / "seen.mp4")
    assert run("--demo", "--save", path, address=serving.address).exit_code == 0
    video = cv2.VideoCapture(path)
    assert int(video.get(cv2.CAP_PROP_FRAME_COUNT)) == 100
    video.release()


def test_pictures_without_a_digit_keep_their_place(serving: Serving, tmp_path: Path) -> None:
    """They are not sent, and come out with nothing on them."""
    paper = np.full((200, 300, 3), 235, np.uint8)
    written = paper.copy()
    cv2.line(written, (150, 60), (150, 140), (20, 20, 20), 8)
    for name, picture in (("a", paper), ("b", written), ("c", paper)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), picture)
    result = run("--find", str(tmp_path), address=serving.address)
    lines = [line.split(maxsplit=1) for line in result.stdout.splitlines()]
    assert [Path(name).stem[0] for name, _ in lines] == ["a", "b", "c"]
    assert [said == "no digit" for _, said in lines] == [True, False, True]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no-such.mp4"], "no-such.mp4: "),
        (["--find", __file__], "test_cli_camera.py: "),
        (["--demo", "--save", "/no/such/folder/x.mp4"], "x.mp4: "),
    ],
)
def test_a_source_that_is_none_is_one_line(
    serving: Serving, arguments: list[str], said: str
) -> None:
    """Exit code 3, on standard error."""
    result = run(*arguments, address=serving.address)
    assert (result.exit_code, result.stderr.count("\n")) == (3, 1)
    assert said in result.stderr


@pytest.mark.parametrize("arguments", [[], ["a", "--demo"], ["a.npy", "--save", "x.mp4"]])
def test_wrong_usage(serving: Serving, arguments: list[str]) -> None:
    """No source, two, or a video of what is no picture."""
    assert run(*arguments, address=serving.address).exit_code == 2
