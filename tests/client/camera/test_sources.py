"""Sources: what they yield, and how they end."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2", reason="sources need the extra `camera`")

from digitserve.client.camera.digits import drawn_digits  # noqa: E402
from digitserve.client.camera.pictures import Picture, SourceError  # noqa: E402
from digitserve.client.camera.sources import open_source  # noqa: E402
from digitserve.client.camera.synthetic import video  # noqa: E402
from digitserve.client.camera.video import VideoError, VideoWriter, write_video  # noqa: E402

FRAMES = 20
SHOWN = [shown.picture for shown in video(2, drawn_digits(), frames=FRAMES)]


def all_of(spec: Path | str) -> tuple[list[Picture], SourceError | None]:
    """What a source gave, and how it ended."""
    given: list[Picture] = []
    try:
        for picture in open_source(str(spec)):
            given.append(picture)  # noqa: PERF402  # what came before the error counts
    except SourceError as error:
        return given, error
    return given, None


@pytest.mark.parametrize("suffix", ["mp4", "avi", "mkv", "mov"])
def test_a_video_comes_back_as_it_was_written(tmp_path: Path, suffix: str) -> None:
    """All its frames in order with their times, but for what the codec loses."""
    path = tmp_path / f"clip.{suffix}"
    assert write_video(path, SHOWN, rate=25) == FRAMES
    given, error = all_of(path)
    assert error is None
    assert [picture.name for picture in given] == [f"{path}[{i}]" for i in range(FRAMES)]
    assert [picture.time for picture in given] == pytest.approx(
        [i / 25 for i in range(FRAMES)], abs=0.002
    )
    assert np.abs(given[7].pixels.astype(float) - SHOWN[7]).mean() < 8


@pytest.mark.parametrize("suffix", ["avi", "mkv"])
def test_a_truncated_video_gives_its_frames_and_says_that_it_breaks_off(
    tmp_path: Path, suffix: str
) -> None:
    """As a camera's recording is after a power cut."""
    path = tmp_path / f"clip.{suffix}"
    write_video(path, SHOWN)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    given, error = all_of(path)
    assert 5 <= len(given) < FRAMES
    assert f"breaks off after {len(given)} of {FRAMES} frames" in str(error)


def test_a_truncated_mp4_cannot_be_opened(tmp_path: Path) -> None:
    """Its index is at its end."""
    path = tmp_path / "clip.mp4"
    write_video(path, SHOWN)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SourceError, match="cut off"):
        open_source(str(path))


@pytest.mark.parametrize("suffix", ["mp4", "avi"])
def test_a_video_with_no_frames_says_so(tmp_path: Path, suffix: str) -> None:
    """A recording that was stopped before it began."""
    path = tmp_path / f"none.{suffix}"
    codec = cv2.VideoWriter.fourcc(*("MJPG" if suffix == "avi" else "mp4v"))
    cv2.VideoWriter(str(path), codec, 25.0, (640, 480)).release()
    given, error = all_of(path)
    assert given == []
    assert "without frames" in str(error)


@pytest.mark.parametrize("content", [b"", b"This is no video." * 99])
def test_what_is_no_video_cannot_be_opened(tmp_path: Path, content: bytes) -> None:
    """An empty file, and any other."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"clip\.mp4: cannot be opened"):
        open_source(str(path))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nothing-here", "no such webcam, URL, video, picture or folder"),
        ("98", "no such webcam"),
        ("9" * 20, "no such webcam"),
        ("rtsp://127.0.0.1:1/desk", "nothing there"),
        ("http://127.0.0.1:1/desk.mp4", "nothing there"),
    ],
)
def test_what_is_not_there_is_named(
    spec: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """At once, in one line, and OpenCV itself says nothing."""
    with pytest.raises(SourceError, match=message) as caught:
        open_source(spec)
    assert str(caught.value).startswith(f"{spec}: ")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_folder_gives_its_pictures_by_name(tmp_path: Path) -> None:
    """Other files in it do not matter; a single picture is a source too."""
    for name in ("b.png", "a.jpg"):
        cv2.imwrite(str(tmp_path / name), SHOWN[0])
    (tmp_path / "notes.txt").write_text("no picture")
    given, error = all_of(tmp_path)
    assert error is None
    assert [picture.name for picture in given] == [str(tmp_path / n) for n in ("a.jpg", "b.png")]
    assert np.array_equal(given[1].pixels, SHOWN[0])
    assert len(all_of(tmp_path / "b.png")[0]) == 1


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    """It says how many files there were."""
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(SourceError, match=r"without pictures \(1 other files\)"):
        open_source(str(tmp_path))


def test_a_broken_picture_in_a_folder_is_named(tmp_path: Path) -> None:
    """Cut off after its header; those before it were given."""
    cv2.imwrite(str(tmp_path / "a.png"), SHOWN[0])
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    given, error = all_of(tmp_path)
    assert len(given) == 1
    assert "b.png: a broken picture" in str(error)


class Unplugged:
    """A webcam that gives three pictures and then no more."""

    released = False

    def __init__(self, *_: object) -> None:
        self._left = 3

    def isOpened(self) -> bool:  # noqa: N802  # OpenCV's name
        return True

    def read(self) -> tuple[bool, object]:
        self._left -= 1
        return (True, SHOWN[0]) if self._left >= 0 else (False, None)

    def get(self, _: int) -> float:
        return -1.0

    def set(self, *_: float) -> bool:
        return False

    def release(self) -> None:
        Unplugged.released = True


@pytest.fixture
def unplugged(monkeypatch: pytest.MonkeyPatch) -> type[Unplugged]:
    monkeypatch.setattr(cv2, "VideoCapture", Unplugged)
    monkeypatch.setattr(Unplugged, "released", False)
    return Unplugged


def test_a_camera_that_is_unplugged_is_an_error_after_all_that_it_gave(
    unplugged: type[Unplugged],
) -> None:
    """And the device is let go of."""
    given, error = all_of("0")
    assert [picture.name for picture in given] == ["0[0]", "0[1]", "0[2]"]
    assert "gave no more pictures after 3" in str(error)
    assert unplugged.released


def test_a_camera_s_pictures_have_the_time_of_the_clock(unplugged: type[Unplugged]) -> None:
    """Of the one that was given."""
    tick: Callable[[], float] = iter([5.0, 5.1, 5.2]).__next__
    source = open_source("0", clock=tick)
    assert [next(source).time for _ in range(3)] == [5.0, 5.1, 5.2]


@pytest.mark.parametrize(
    ("name", "message"), [("out.gif", "ends in .mp4"), ("no/such/out.mp4", "no such folder")]
)
def test_a_video_that_cannot_be_written_is_refused_at_once(
    tmp_path: Path, name: str, message: str
) -> None:
    """Before the first picture, which may take a camera a while."""
    with pytest.raises(VideoError, match=message):
        VideoWriter(tmp_path / name, rate=25)


def test_a_video_without_pictures_leaves_no_file(tmp_path: Path) -> None:
    """Rather than one that cannot be played."""
    with VideoWriter(tmp_path / "out.mp4", rate=25):
        pass
    assert not (tmp_path / "out.mp4").exists()


def test_pictures_of_another_size_are_fitted_into_the_video(tmp_path: Path) -> None:
    """A folder of scans makes one video all the same."""
    write_video(tmp_path / "out.avi", [SHOWN[0], SHOWN[1][:100, :100]])
    given, _ = all_of(tmp_path / "out.avi")
    assert [picture.pixels.shape for picture in given] == [(480, 640, 3)] * 2
